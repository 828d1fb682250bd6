# One segment of a run. The full training state is not an output: it lives in work/<b>/<m>/seed<k>/<key>/ and survives
# what Snakemake does to outputs. The next segment goes before the evaluations of the last one. A teacher's receipt and
# weights are inputs as they are of `sample`, and for the same reason; samples of it are inputs as they are of `evaluate`.
SEGMENT = ("{wildcards.b}", "{wildcards.m}", "{wildcards.k}", "{wildcards.i}")


rule train:
    input:
        config=recipe_file,
        previous=previous_receipt,
        data=data_index,
        latents=latents,
        representations=representations,
        codec=codec_weights,
        published=published_weights,
        teacher=teacher_receipt,
        teacher_weights=ancient(teacher_folder),
        pool=pool,
    output:
        weights=directory(paths.segment("{b}", "{m}", "{k}", "{i}")),
        receipt=paths.receipt("{b}", "{m}", "{k}", "{i}"),
    log:
        paths.log("train", "{b}", "{m}", "seed{k}", "segment-{i}"),
    priority: 10
    threads: resource("train", "cpus")
    resources:
        **resources_of("train", **{field: of_training(field) for field in ("gpus", "nodes", "tasks_per_node")}),
    params:
        run=run_settings,
    shell:
        launch(
            f"--key {words.train_key(*SEGMENT)} --output {{output.weights}} --output {{output.receipt}}",
            words.train(*SEGMENT, "{params.run[expect]}", "{params.run[grid]}"),
        )
