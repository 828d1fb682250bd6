# The receipt is the normal input and says that weights changed; the directory beside it is ancient, so that a segment
# that was trained again with the same bytes is not sampled again. Another save grid makes other receipts, and is: Snakemake
# compares a receipt whole and deletes samples before the job could see that its own weights are the same; a receipt per
# save point would tell, but a rule cannot declare outputs whose number depends on the benchmark.
rule sample:
    input:
        data=data_index,
        receipt=segment_receipt,
        weights=ancient(segment_folder),
        codec=codec_weights,
    output:
        directory(paths.samples("{b}", "{m}", "{k}", "{step}", "{s}")),
    log:
        paths.log("sample", "{b}", "{m}", "seed{k}", "step-{step}", "{s}"),
    threads: resource("sample", "cpus")
    resources:
        **resources_of("sample"),
    params:
        step=sampling_settings,
        recipe=recipe_key,
    shell:
        launch(
            f"--key {words.cell_key('sample', *PLACE)} --output {{output}}",
            words.sample(CELL, "{params.step[expect]}", "{params.recipe}"),
        )
