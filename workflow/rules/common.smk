# Loads the suite once, and holds every function that rules use for inputs, params and resources.
# A run's recipe (results/runs/.../config.json) is the waist: it is written here, when the DAG asks for a run.
import gc
import os
import re
import sys
from pathlib import Path

from reedbench.core import paths
from reedbench.core.console import say
from reedbench.core.constants import LAUNCHERS as MODES
from reedbench.core.errors import ConfigError, ReedbenchError, unknown
from reedbench.core.plugins import NAME
from reedbench.schema import gpus, paper, papers, reports, retraining, runs, settings, targets, words
from reedbench.schema.suite import load
from reedbench.schema.versions import FIGURES

# A large DAG is millions of objects that all live: looking for garbage among them as often as usual costs a seventh more.
gc.set_threshold(100_000)

# Snakemake's limit of 100 jobs a second, which it has unless another one is asked for, looks for work again a second
# after each time that it looked, and once more for each job that ended: with hundreds of jobs hundreds of times a second.
limit = getattr(workflow.scheduling_settings, "max_jobs_per_timespan", None)
if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
    workflow.scheduling_settings.max_jobs_per_timespan = None

# Jobs run the `reedbench` of the Python that runs Snakemake, whether its environment is activated or not. It goes in
# through PATH, as the text of a rule is the same on every machine.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]))


def leave(error):
    """Stop with our own words and exit code: Snakemake would add a traceback of this file."""
    say(f"reedbench: {error}")
    raise SystemExit(error.exit_code) from None


try:
    SUITE = load("config/config.yaml")
    PAPERS = papers.outputs()
except ReedbenchError as error:
    leave(error)

PLACE = tuple(f"{{wildcards.{name}}}" for name in ("b", "m", "k", "step", "s"))
CELL = words.cell(*PLACE)
LAST_LINES = 20  # of a failed step's log

LAUNCHER = config.get("launcher", "inline")
if LAUNCHER not in MODES:
    leave(ConfigError(unknown("launcher", LAUNCHER, MODES)))

BENCHMARKS = {b: runs.benchmark(SUITE, b) for b in SUITE.benchmarks}
# What README shows: file in docs/images, and of which benchmark which figure; and a figure of the papers' numbers.
IMAGES = {
    "speedup.png": ("digits", "speedup"),
    "differences.png": ("digits", "differences"),
    "samples.png": ("digits", "samples"),
    "landscape.png": ("digits-methods", "landscape"),
    "post.png": ("digits-post", "landscape"),
    "backbones.png": ("backbones", "speedup"),
    "chains.png": ("chains", "speedup"),
    "cifar10.png": ("cifar10", "speedup"),
}
PAPER_IMAGE = ("paper.png", paths.paper_figure("curves", ".png"))
EMBEDDED = [b for b, benchmark in BENCHMARKS.items() if benchmark.spec.dataset.embedded]
CACHED = targets.cached(SUITE)


wildcard_constraints:
    b="|".join(BENCHMARKS),
    d="|".join({benchmark.dataset for benchmark in BENCHMARKS.values()}),
    m=NAME,
    c=NAME,
    e=NAME,
    a=NAME,
    s=NAME,
    w="|".join(SUITE.weights) or NAME,
    k=r"\d+",
    i=r"\d+",
    step=r"\d{7}",
    figure="|".join(FIGURES),


# The launch line is frozen: a changed text would rerun everything wherever the code trigger is on.
# Resources are named here and never in params, so that moving a job to another partition reruns nothing.
LAUNCH = (
    "reedbench launch --where {resources.launcher} --gpus {resources.gpus} --nodes {resources.nodes}"
    " --tasks-per-node {resources.tasks_per_node} --cpus {threads} --mem-mb {resources.mem_mb}"
    " --runtime {resources.runtime} --partition '{resources.slurm_partition}' --account '{resources.slurm_account}'"
    " --qos '{resources.qos}' --constraint '{resources.constraint}' --extra '{resources.slurm_extra}'"
)


def launch(job, step):
    """The shell line of a heavy rule: the launch line, the job's key and outputs, and the step to run."""
    return f"{LAUNCH} {job} -- {step} > {{log}} 2>&1"


def once_per(*names):
    """Call a function of wildcards once for all jobs that agree in these: thousands ask, and share one answer.

    Nobody may change what such a function returned.
    """

    def decorate(function):
        answers = {}

        def shared(wildcards):
            agreed = tuple(wildcards.get(name) for name in names)
            if agreed not in answers:
                answers[agreed] = function(wildcards)
            return answers[agreed]

        return shared

    return decorate


def resource(step, field):
    """A resource of a step: the benchmark's own, or its dataset's first user's; a number where all benchmarks agree."""
    values = {b: getattr(benchmark.resources(step), field) for b, benchmark in BENCHMARKS.items()}
    if len(set(values.values())) == 1:  # Snakemake takes 0.4 ms per job to call six functions
        return next(iter(values.values()))
    return lambda wildcards: values[wildcards.get("b") or runs.first_on(SUITE, wildcards.d).name]


def of_training(field):
    """A resource of `train`; less for runs whose weights come from outside, where there are such."""
    if all(method.own_step() is None for b in BENCHMARKS.values() for method in b.spec.methods.values()):
        return resource("train", field)
    return lambda wildcards: getattr(run_of(wildcards).resources, field)


def launched(**size):
    """Everything that the launch line names; the profile overrides any of it by `set-resources`."""
    site = dict.fromkeys(("slurm_partition", "slurm_account", "qos", "constraint", "slurm_extra"), "")
    # What a profile limits: jobs in flight, and those that compute where Snakemake runs.
    counted = {"launchers": 1, "local_cpu": 1 if LAUNCHER == "inline" else 0}
    return {"launcher": LAUNCHER, **counted, **size, **site}


def resources_of(step, **instead):
    """Where and with what a step runs; `instead` takes the place of what its benchmark says."""
    size = {f: resource(step, f) for f in ("gpus", "nodes", "tasks_per_node", "mem_mb", "runtime")}
    return launched(**size | instead)


def described(values):
    """The one labelled dict of a rule's params: settings, and the digits under which the step must find them."""
    return {"expect": settings.key(values), "settings": values}


@once_per("w")
def weight_settings(wildcards):
    return described(settings.weight(SUITE, wildcards.w))


@once_per("d")
def dataset_settings(wildcards):
    return described(settings.dataset(SUITE, wildcards.d))


@once_per("d", "e")
def captioner_settings(wildcards):
    return described(settings.captioner(SUITE, wildcards.d, wildcards.e))


@once_per("d", "e")
def captioner_weights(wildcards):
    """Weights from outside that a captioner names."""
    return settings.pinned(SUITE.captioner(wildcards.d, wildcards.e))


@once_per("d", "e")
def captioner_gpus(wildcards):
    """0 for a captioner that can use none, whatever others get."""
    return gpus.of_caption(SUITE, wildcards.d, wildcards.e)


@once_per("d", "e")
def encoder_settings(wildcards):
    return described(settings.encoder(SUITE, wildcards.d, wildcards.e))


@once_per("d", "e")
def encoder_gpus(wildcards):
    """0 for an encoder that can use none, whatever others get."""
    return gpus.of_represent(SUITE, wildcards.d, wildcards.e)


@once_per("d", "e")
def pretraining_gpus(wildcards):
    """Likewise where it is trained, or measured."""
    return gpus.of_pretrain(SUITE, wildcards.d, wildcards.e)


@once_per("d", "e")
def encoder_reads(wildcards):
    """Captions and other encoders' weights that an encoder reads, and its own weights unless they are being made."""
    return settings.encoder_reads(SUITE, wildcards.d, wildcards.e)


@once_per("d", "e")
def encoder_weights(wildcards):
    """The encoder's own weights (none if it needs no training) and everything that it reads."""
    return settings.encoder_weights(SUITE, wildcards.d, wildcards.e)


@once_per("b", "m", "k")
def run_of(wildcards):
    """The run, whose recipe and key are known from then on."""
    return BENCHMARKS[wildcards.b].run(wildcards.m, int(wildcards.k))


SAID = set()  # runs


def say_what_is_retrained(run):
    """Before an edit trains a run anew: which others of the benchmark too, why, and what they had cost; each once."""
    if run in SAID or not (own := retraining.of_run(run)):
        return
    found = [one for one in retraining.retrained(run.benchmark) if one.run not in SAID]
    if run not in (one.run for one in found):
        found.append(own)  # another benchmark learns from it, under a seed of its own
    SAID.update(one.run for one in found)
    for line in retraining.lines(found):
        say(line)


@once_per("b", "m", "k")
def recipe_file(wildcards):
    """The run's recipe; written when its content differs, so that no job and no edge is needed for it."""
    run = run_of(wildcards)
    # `is_main_process` and `dryrun` are attributes of Snakemake's Workflow, not documented API: tested in tests/workflow.
    if workflow.is_main_process:
        if there := Path(run.recipe_file).exists():
            say_what_is_retrained(run)
        if not (workflow.dryrun and there):
            settings.put_recipe(run.recipe_file, run.recipe)
    return run.recipe_file


def run_settings(wildcards):
    """The recipe, and how it is cut: other segments, or another grid, are published anew from what was trained."""
    run, i = run_of(wildcards), int(wildcards.i)
    return {"expect": run.key, "grid": run.course.grid(i)}


def previous_receipt(wildcards):
    i = int(wildcards.i)
    return [run_of(wildcards).receipt(i - 1)] if i else []


@once_per("b", "m", "k")
def teacher_receipt(wildcards):
    """The receipt of the weights that the run learns from: of exactly the segment that has them."""
    teacher = run_of(wildcards).teacher
    return [] if teacher is None else [teacher.receipt]


@once_per("b", "m", "k")
def teacher_folder(wildcards):
    teacher = run_of(wildcards).teacher
    return [] if teacher is None else [teacher.folder]


@once_per("b", "m", "k")
def pool(wildcards):
    """The samples of that one which the run learns from, too."""
    drawn = run_of(wildcards).pool
    return [] if drawn is None else [drawn.samples]


@once_per("b")
def data_index(wildcards):
    return paths.index(BENCHMARKS[wildcards.b].data)


@once_per("b")
def codec_weights(wildcards):
    """Weights from outside that the codec names."""
    return settings.pinned(BENCHMARKS[wildcards.b].spec.codec)


@once_per("d", "c")
def compressing_weights(wildcards):
    """Weights from outside with which a codec encodes training rows."""
    return settings.pinned(SUITE.codec(wildcards.d, wildcards.c))


@once_per("d", "c")
def latents_settings(wildcards):
    return described(settings.latents(SUITE, wildcards.d, wildcards.c))


@once_per("b", "m", "k")
def latents(wildcards):
    """Training rows as the codec keeps them, if it does and the run is trained here."""
    folder = run_of(wildcards).latents
    return [] if folder is None else [paths.index(folder)]


@once_per("b", "m", "k")
def published_weights(wildcards):
    """Weights from outside that the method names."""
    return run_of(wildcards).pinned


@once_per("b")
def judges_weights(wildcards):
    """Weights from outside that extractors and folders name."""
    return BENCHMARKS[wildcards.b].scoring.reads


@once_per("b", "m", "k")
def representations(wildcards):
    """What a run learns of encoders: representations of its rows, or the weights of those that training itself asks."""
    run = run_of(wildcards)
    dataset = run.benchmark.dataset
    kept = [paths.index(paths.representation(dataset, filed)) for filed in run.cached.values()]
    asked = [*run.online.values(), *run.judges.values()]
    return kept + [file for filed in asked for file in settings.encoder_weights(SUITE, dataset, filed)]


def segment_folder(wildcards):
    run = run_of(wildcards)
    return run.segment(run.course.segment_of(int(wildcards.step)))


def segment_receipt(wildcards):
    return f"{segment_folder(wildcards)}.json"


def inspected_weights(wildcards):
    """Receipt of the weights that a cell's metrics look into, and of those of the codec through which these see real
    data; most look at samples alone."""
    scoring = BENCHMARKS[wildcards.b].scoring
    return [segment_receipt(wildcards), *scoring.codec_weights()] if scoring.looks_inside else []


@once_per("b", "s")
def sampling_settings(wildcards):
    return described(BENCHMARKS[wildcards.b].sampling(wildcards.s))


# Keys that stand in a job's words alone. As functions of `input` their values are not what Snakemake compares: whether a
# job runs again is up to its inputs and settings.
def recipe_key(wildcards, input):
    return run_of(wildcards).key


def sampling_key(wildcards, input):
    return sampling_settings(wildcards)["expect"]


@once_per("b")
def evaluation_settings(wildcards):
    return described(BENCHMARKS[wildcards.b].scoring.settings)


@once_per("b")
def floor_settings(wildcards):
    return described(BENCHMARKS[wildcards.b].scoring.floor_settings)


@once_per("b")
def floor_codec_weights(wildcards):
    """Weights from outside that the codec names, where the floor shows real data through it."""
    return BENCHMARKS[wildcards.b].scoring.codec_weights(floor=True)


@once_per("b")
def reference_statistics(wildcards):
    benchmark = BENCHMARKS[wildcards.b]
    return [paths.statistics(benchmark.dataset, name) for name in benchmark.scoring.extractors]


@once_per("b", "a")
def report_settings(wildcards):
    return described(reports.reporting(BENCHMARKS[wildcards.b], wildcards.get("a")))


@once_per("b", "a")
def report_inputs(wildcards):
    """Metric files and receipts of every cell of a table, an ablation or a figure, and the floor."""
    return reports.inputs(BENCHMARKS[wildcards.b], wildcards.get("a"))


@once_per("b", "m", "k")
def card_settings(wildcards):
    return described(reports.card(run_of(wildcards)))


@once_per("b", "m", "k")
def card_inputs(wildcards):
    """Receipts of a run and metric files of its cells."""
    return reports.card_inputs(run_of(wildcards))


def cached_ablations(benchmark):
    """Ablations whose cells are all in the committed cache."""
    try:
        return targets.cached_ablations(benchmark)
    except ReedbenchError as error:
        leave(error)


def asked_for():
    """Targets of the command line, by Snakemake's own parser: a Snakefile is not told them.

    None where Snakemake was not started by its command; it then judges them itself.
    """
    from snakemake.cli import get_argument_parser

    by_command = Path(sys.argv[0]).name in ("snakemake", "__main__.py")
    if not (by_command and workflow.is_main_process):
        return []
    return get_argument_parser().parse_known_args(sys.argv[1:])[0].targets


def refuse_unknown_targets():
    """Stop, before any job, at a target that no rule makes; called when all rules are known."""
    rules = {rule.name: rule.has_wildcards() for rule in workflow.rules}
    files = {str(file): False for rule in workflow.rules if not rule.has_wildcards() for file in rule.output}
    try:
        targets.check(SUITE, asked_for(), rules | files)
    except ReedbenchError as error:
        leave(error)


def show_failed_logs(records):
    """The last words of every failed job: with `quiet: rules` Snakemake drops them, in spite of `show-failed-logs`.

    Args:
        records: Snakemake's own log files, which hold the commands that failed.
    """
    quiet = {level.name for level in workflow.output_settings.quiet or ()}
    if "RULES" not in quiet or "ALL" in quiet:
        return
    said = "\n".join(Path(record).read_text(errors="replace") for record in records)
    for file in dict.fromkeys(re.findall(r"> (\S+) 2>&1", said)):
        lines = Path(file).read_text(errors="replace").splitlines() if Path(file).exists() else []
        say("\n".join([f"\n{file}, the log of a step that failed, ends with:", *lines[-LAST_LINES:]]))


def paper_settings(wildcards):
    return described(paper.read().settings) | {"own": papers.own_results(SUITE)}
