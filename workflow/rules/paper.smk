# What papers print, and own results that measure the same: `snakemake --cores 1 paper`. Light: it reads config/reference,
# config/paper.yaml and the own results that are there. These are in `params`, and no inputs: nothing is trained for it.


if PAPERS:

    rule paper:
        input:
            papers.inputs(),
        output:
            PAPERS,
        log:
            paths.log("paper"),
        resources:
            local_cpu=1,
        params:
            step=paper_settings,
        shell:
            "reedbench step paper --expect {params.step[expect]} > {log} 2>&1"
