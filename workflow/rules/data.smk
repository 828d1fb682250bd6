rule prepare:
    output:
        shards=directory(paths.shards(paths.data("{d}"))),
        manifest=paths.manifest(paths.data("{d}")),
        index=paths.index(paths.data("{d}")),
    log:
        paths.log("prepare", "{d}"),
    threads: resource("prepare", "cpus")
    resources:
        **resources_of("prepare"),
    params:
        step=dataset_settings,
    shell:
        launch(
            "--key prepare/{wildcards.d} --output {output.shards} --output {output.manifest} --output {output.index}",
            "step prepare --dataset {wildcards.d} --expect {params.step[expect]}",
        )


rule caption:
    input:
        data=paths.index(paths.data("{d}")),
        weights=captioner_weights,
    output:
        paths.captions("{d}", "{e}"),
    log:
        paths.log("caption", "{d}", "{e}"),
    threads: resource("caption", "cpus")
    resources:
        **resources_of("caption", gpus=captioner_gpus),
    params:
        step=captioner_settings,
    shell:
        launch(
            "--key caption/{wildcards.d}/{wildcards.e} --output {output}",
            "step caption --dataset {wildcards.d} --captioner {wildcards.e} --expect {params.step[expect]}",
        )
