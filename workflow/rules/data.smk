rule prepare:
    output:
        shards=directory(paths.data("{d}") + "/shards"),
        manifest=paths.data("{d}") + "/manifest.parquet",
        index=paths.data("{d}") + "/index.json",
    log:
        paths.log("prepare", "{d}"),
    params:
        step=dataset_settings,
    threads: resource("prepare", "cpus")
    resources:
        **resources_of("prepare"),
    shell:
        LAUNCH + " --key prepare/{wildcards.d}"
        " --output {output.shards} --output {output.manifest} --output {output.index}"
        " -- step prepare --dataset {wildcards.d} --expect {params.step[expect]} > {log} 2>&1"


rule caption:
    input:
        paths.data("{d}") + "/index.json",
    output:
        paths.captions("{d}", "{e}"),
    log:
        paths.log("caption", "{d}", "{e}"),
    params:
        step=captioner_settings,
    threads: resource("caption", "cpus")
    resources:
        **resources_of("caption"),
    shell:
        LAUNCH + " --key caption/{wildcards.d}/{wildcards.e} --output {output}"
        " -- step caption --dataset {wildcards.d} --captioner {wildcards.e}"
        " --expect {params.step[expect]} > {log} 2>&1"
