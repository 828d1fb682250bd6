from snakemake.utils import min_version

min_version("9.11")


configfile: "config/config.yaml"


# Used only under `--sdm apptainer`, after `apptainer build` from workflow/envs/reedbench.def.
container: "workflow/envs/reedbench.sif"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/representations.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/smoke.smk"


# The benchmarks that need no download: trained, sampled and scored here.
rule all:
    default_target: True
    input:
        [paths.table(b) for b in EMBEDDED],
        [paths.figure(b, figure) for b in EMBEDDED for figure in reports.figures(BENCHMARKS[b])],


# Every table that the committed cache holds; never a heavy job.
rule tables:
    input:
        [paths.cached_table(b) for b in CACHED],
        [paths.cached_ablation(b, a) for b in CACHED for a in cached_ablations(b)],


# Every figure that the committed cache holds; never a heavy job.
rule figures:
    input:
        [paths.cached_figure(b, figure) for b in CACHED for figure in reports.figures(BENCHMARKS[b])],
        [
            paths.cached_figure(b, figure, ablation=a)
            for b in CACHED
            for a in targets.cached_ablations(b)
            for figure in reports.ablation_figures(BENCHMARKS[b], a)
        ],


refuse_unknown_targets()


onerror:
    show_failed_logs(log)
