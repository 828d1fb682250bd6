# Weights from outside. Light, and run where Snakemake runs: nodes of a cluster often have no network, and nothing else
# of the workflow downloads.
localrules:
    fetch,
    fetch_weights,


# All that the benchmarks name, before a cluster is asked: `snakemake fetch`.
rule fetch:
    input:
        [paths.card(paths.pinned(name)) for name in dict.fromkeys(n for b in BENCHMARKS.values() for n in b.weights)],


rule fetch_weights:
    output:
        card=paths.card(paths.pinned("{w}")),
        files=directory(paths.pinned_files("{w}")),
    log:
        paths.log("fetch", "{w}"),
    resources:
        local_cpu=1,
    params:
        step=weight_settings,
    shell:
        "reedbench step fetch --weights {wildcards.w} --expect {params.step[expect]} > {log} 2>&1"
