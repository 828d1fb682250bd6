rule pretrain:
    input:
        data=paths.index(paths.data("{d}")),
        reads=encoder_reads,
    output:
        weights=paths.weights(paths.encoder("{d}", "{e}")),
        card=paths.card(paths.encoder("{d}", "{e}")),
    log:
        paths.log("pretrain", "{d}", "{e}"),
    threads: resource("pretrain", "cpus")
    resources:
        **resources_of("pretrain", gpus=pretraining_gpus),
    params:
        step=encoder_settings,
    shell:
        launch(
            "--key pretrain/{wildcards.d}/{wildcards.e} --output {output.weights} --output {output.card}",
            "step pretrain --dataset {wildcards.d} --encoder {wildcards.e} --expect {params.step[expect]}",
        )


rule compress:
    input:
        data=paths.index(paths.data("{d}")),
        weights=compressing_weights,
    output:
        shards=directory(paths.shards(paths.latents("{d}", "{c}"))),
        index=paths.index(paths.latents("{d}", "{c}")),
    log:
        paths.log("compress", "{d}", "{c}"),
    threads: resource("compress", "cpus")
    resources:
        **resources_of("compress"),
    params:
        step=latents_settings,
    shell:
        launch(
            "--key compress/{wildcards.d}/{wildcards.c} --output {output.shards} --output {output.index}",
            "step compress --dataset {wildcards.d} --codec {wildcards.c} --expect {params.step[expect]}",
        )


rule represent:
    input:
        data=paths.index(paths.data("{d}")),
        weights=encoder_weights,
    output:
        shards=directory(paths.shards(paths.representation("{d}", "{e}"))),
        index=paths.index(paths.representation("{d}", "{e}")),
    log:
        paths.log("represent", "{d}", "{e}"),
    threads: resource("represent", "cpus")
    resources:
        **resources_of("represent", gpus=encoder_gpus),
    params:
        step=encoder_settings,
    shell:
        launch(
            "--key represent/{wildcards.d}/{wildcards.e} --output {output.shards} --output {output.index}",
            "step represent --dataset {wildcards.d} --encoder {wildcards.e} --expect {params.step[expect]}",
        )


rule statistics:
    input:
        data=paths.index(paths.data("{d}")),
        weights=encoder_weights,
    output:
        paths.statistics("{d}", "{e}"),
    log:
        paths.log("statistics", "{d}", "{e}"),
    threads: resource("represent", "cpus")
    resources:
        **resources_of("represent", gpus=encoder_gpus),
    params:
        step=encoder_settings,
    shell:
        launch(
            "--key statistics/{wildcards.d}/{wildcards.e} --output {output}",
            "step represent --dataset {wildcards.d} --extractor {wildcards.e} --expect {params.step[expect]}",
        )
