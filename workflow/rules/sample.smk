# The receipt is the normal input and says that weights changed; the directory beside it is ancient, so that a segment
# that was trained again with the same bytes is not sampled again.
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
    shell:
        launch(
            "--key sample/{wildcards.b}/{wildcards.m}/seed{wildcards.k}/step-{wildcards.step}/{wildcards.s}"
            " --output {output}",
            "step sample --benchmark {wildcards.b} --method {wildcards.m} --seed {wildcards.k}"
            " --step {wildcards.step} --sampler {wildcards.s} --expect {params.step[expect]}",
        )
