rule pretrain:
    input:
        data=paths.data("{d}") + "/index.json",
        reads=encoder_reads,
    output:
        weights=paths.encoder("{d}", "{e}") + "/weights.safetensors",
        card=paths.encoder("{d}", "{e}") + "/card.json",
    log:
        paths.log("pretrain", "{d}", "{e}"),
    params:
        step=encoder_settings,
    threads: resource("pretrain", "cpus")
    resources:
        **resources_of("pretrain"),
    shell:
        LAUNCH + " --key pretrain/{wildcards.d}/{wildcards.e} --output {output.weights} --output {output.card}"
        " -- step pretrain --dataset {wildcards.d} --encoder {wildcards.e}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule represent:
    input:
        data=paths.data("{d}") + "/index.json",
        weights=encoder_weights,
    output:
        shards=directory(paths.representation("{d}", "{e}") + "/shards"),
        index=paths.representation("{d}", "{e}") + "/index.json",
    log:
        paths.log("represent", "{d}", "{e}"),
    params:
        step=encoder_settings,
    threads: resource("represent", "cpus")
    resources:
        **resources_of("represent"),
    shell:
        LAUNCH + " --key represent/{wildcards.d}/{wildcards.e} --output {output.shards} --output {output.index}"
        " -- step represent --dataset {wildcards.d} --encoder {wildcards.e}"
        " --expect {params.step[expect]} > {log} 2>&1"


rule statistics:
    input:
        data=paths.data("{d}") + "/index.json",
        weights=encoder_weights,
    output:
        paths.statistics("{d}", "{e}"),
    log:
        paths.log("statistics", "{d}", "{e}"),
    params:
        step=encoder_settings,
    threads: resource("represent", "cpus")
    resources:
        **resources_of("represent"),
    shell:
        LAUNCH + " --key statistics/{wildcards.d}/{wildcards.e} --output {output}"
        " -- step represent --dataset {wildcards.d} --extractor {wildcards.e}"
        " --expect {params.step[expect]} > {log} 2>&1"
