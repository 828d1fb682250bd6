# Tables and figures: from runs into results/tables, results/ablations and results/figures, or from the committed cache
# into results/from-cache. Both are light and run where Snakemake runs.


rule tabulate:
    input:
        report_inputs,
    output:
        csv=report(paths.table("{b}"), caption="../report/table.rst", category="Tables", labels={"benchmark": "{b}"}),
        text=paths.siblings(paths.table("{b}"), ".md", ".tex"),
    log:
        paths.log("tabulate", "{b}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step tabulate --benchmark {wildcards.b} --expect {params.step[expect]} > {log} 2>&1"


rule ablation:
    input:
        report_inputs,
    output:
        csv=report(
            paths.ablation("{b}", "{a}"),
            caption="../report/table.rst",
            category="Ablations",
            labels={"benchmark": "{b}", "ablation": "{a}"},
        ),
        text=paths.siblings(paths.ablation("{b}", "{a}"), ".md", ".tex"),
    log:
        paths.log("ablation", "{b}", "{a}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step tabulate --benchmark {wildcards.b} --ablation {wildcards.a}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule plot:
    input:
        report_inputs,
    output:
        pdf=paths.figure("{b}", "{figure}", ".pdf"),
        svg=report(
            paths.figure("{b}", "{figure}", ".svg"),
            caption="../report/figure.rst",
            category="Figures",
            labels={"benchmark": "{b}", "figure": "{figure}"},
        ),
        png=paths.figure("{b}", "{figure}", ".png"),
        csv=paths.figure("{b}", "{figure}", ".csv"),
    log:
        paths.log("plot", "{b}", "{figure}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step plot --benchmark {wildcards.b} --figure {wildcards.figure}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule plot_ablation:
    input:
        report_inputs,
    output:
        pdf=paths.figure("{b}", "{figure}", ".pdf", "{a}"),
        svg=report(
            paths.figure("{b}", "{figure}", ".svg", "{a}"),
            caption="../report/figure.rst",
            category="Ablations",
            labels={"benchmark": "{b}", "ablation": "{a}", "figure": "{figure}"},
        ),
        png=paths.figure("{b}", "{figure}", ".png", "{a}"),
        csv=paths.figure("{b}", "{figure}", ".csv", "{a}"),
    log:
        paths.log("plot_ablation", "{b}", "{a}", "{figure}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step plot --benchmark {wildcards.b} --ablation {wildcards.a} --figure {wildcards.figure}"
        " --expect {params.step[expect]} > {log} 2>&1"


# What there is to know of a run; `reedbench card` prints it of one that is not finished, too.
rule card:
    input:
        card_inputs,
    output:
        paths.run_card("{b}", "{m}", "{k}"),
    log:
        paths.log("card", "{b}", "{m}", "seed{k}"),
    resources:
        local_cpu=1,
    params:
        step=card_settings,
    shell:
        "reedbench step card --benchmark {wildcards.b} --method {wildcards.m} --seed {wildcards.k}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule tabulate_cached:
    input:
        paths.cache_files("{b}"),
    output:
        csv=paths.cached_table("{b}"),
        text=paths.siblings(paths.cached_table("{b}"), ".md", ".tex"),
    log:
        paths.log("tabulate_cached", "{b}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step tabulate --cache --benchmark {wildcards.b} --expect {params.step[expect]} > {log} 2>&1"


rule ablation_cached:
    input:
        paths.cache_files("{b}"),
    output:
        csv=paths.cached_ablation("{b}", "{a}"),
        text=paths.siblings(paths.cached_ablation("{b}", "{a}"), ".md", ".tex"),
    log:
        paths.log("ablation_cached", "{b}", "{a}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step tabulate --cache --benchmark {wildcards.b} --ablation {wildcards.a}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule plot_cached:
    input:
        paths.cache_files("{b}"),
    output:
        [paths.cached_figure("{b}", "{figure}", suffix) for suffix in (".pdf", ".svg", ".png", ".csv")],
    log:
        paths.log("plot_cached", "{b}", "{figure}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step plot --cache --benchmark {wildcards.b} --figure {wildcards.figure}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule plot_ablation_cached:
    input:
        paths.cache_files("{b}"),
    output:
        [paths.cached_figure("{b}", "{figure}", suffix, "{a}") for suffix in (".pdf", ".svg", ".png", ".csv")],
    log:
        paths.log("plot_ablation_cached", "{b}", "{a}", "{figure}"),
    resources:
        local_cpu=1,
    params:
        step=report_settings,
    shell:
        "reedbench step plot --cache --benchmark {wildcards.b} --ablation {wildcards.a} --figure {wildcards.figure}"
        " --expect {params.step[expect]} > {log} 2>&1"


# The pictures of README, from the committed numbers: `snakemake --cores 1 images`.
rule images:
    input:
        [paths.cached_figure(b, figure, ".png") for b, figure in IMAGES.values()],
        PAPER_IMAGE[1],
    output:
        [paths.image(name) for name in (*IMAGES, PAPER_IMAGE[0])],
    log:
        paths.log("images"),
    resources:
        local_cpu=1,
    shell:
        "(set -- {output}; for picture in {input}; do cp $picture $1; shift; done) > {log} 2>&1"
