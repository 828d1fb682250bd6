# The first thing to run on a new site: one job, which says what is there and what to fix. It has no output, so that it
# runs whenever it is asked for.
rule smoke:
    log:
        paths.log("smoke", "job"),
    threads: 1
    resources:
        **launched(gpus=0, nodes=1, tasks_per_node=1, mem_mb=8000, runtime=10),
    shell:
        launch(f"--key smoke --output {paths.smoke()}", "step smoke")
        + f" && cat {paths.smoke()} || {{{{ cat {{log}} >&2; exit 1; }}}}"
