rule evaluate:
    input:
        samples=paths.samples("{b}", "{m}", "{k}", "{step}", "{s}"),
        network=inspected_weights,
        data=data_index,
        statistics=reference_statistics,
        weights=judges_weights,
    output:
        paths.metrics("{b}", "{m}", "{k}", "{step}", "{s}"),
    log:
        paths.log("evaluate", "{b}", "{m}", "seed{k}", "step-{step}", "{s}"),
    threads: resource("evaluate", "cpus")
    resources:
        **resources_of("evaluate"),
    params:
        step=evaluation_settings,
        recipe=recipe_key,
        sampling=sampling_key,
    shell:
        launch(
            f"--key {words.cell_key('evaluate', *PLACE)} --output {{output}}",
            words.evaluate(CELL, "{params.step[expect]}", "{params.recipe}", "{params.sampling}"),
        )


# What real data score: one half of the training split against the other, or the best possible where it is known.
rule floor:
    input:
        data=data_index,
        statistics=reference_statistics,
        weights=judges_weights,
        codec=floor_codec_weights,
    output:
        paths.floor("{b}"),
    log:
        paths.log("floor", "{b}"),
    threads: resource("evaluate", "cpus")
    resources:
        **resources_of("evaluate"),
    params:
        step=floor_settings,
    shell:
        launch(
            "--key floor/{wildcards.b} --output {output}",
            "step evaluate --benchmark {wildcards.b} --floor --expect {params.step[expect]}",
        )
