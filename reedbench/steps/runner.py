"""`reedbench step <verb> ...`: parse, run, write provenance, translate errors into one line and an exit code."""

import argparse
import resource
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from reedbench.core import provenance
from reedbench.core.commandline import OneLineParser, natural
from reedbench.core.console import say
from reedbench.core.errors import ConfigError, ReedbenchError, place_outside
from reedbench.schema import citations, paper, planning, reports, runs, settings, suite
from reedbench.schema.cells import Cell
from reedbench.schema.citations import Citations
from reedbench.schema.runs import Benchmark, Run
from reedbench.schema.suite import Suite
from reedbench.schema.versions import FIGURES, VERSIONS

Of = Any  # what a step works on: a run, a cell or a benchmark; the suite, of what benchmarks share
NOT_RECORDED = ("verb", "config", "expect", "unless_fresh", "grid", "recipe", "sampling")  # arguments
Step = Callable[[Of, argparse.Namespace], provenance.Made | None]  # nothing: another rank records it


def main(argv: Sequence[str]) -> int:
    """Run one step; returns the exit code (0, 1, 2, 3, 4 or 75)."""
    _allow_many_files()
    try:
        _run(_parser().parse_args(argv))
    except ReedbenchError as error:
        if str(error):  # else another rank says it
            say(f"reedbench step {argv[0] if argv else ''}: {error}")
        return error.exit_code
    except SystemExit as done:  # --help
        return int(done.code or 0)
    except Exception as error:
        if not (place := place_outside(error)):
            raise
        traceback.print_exc()  # its author will want all of it, and the last line alone where only that is shown
        say(f"reedbench step {argv[0]}: {type(error).__name__}: {error}{place}")
        return 1
    return 0


def _allow_many_files() -> None:
    """As many open files as this machine allows: data sets of several encoders have thousands of shards."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _run(arguments: argparse.Namespace) -> None:
    loaded = suite.load(arguments.config)
    resolve, settings_of, stands_on = VERBS[arguments.verb]
    of = resolve(loaded, arguments)
    depends = settings_of(of, arguments)
    digest = settings.key(depends)
    if arguments.expect and arguments.expect != digest:
        raise ConfigError(
            f"{arguments.config}: the configuration changed since this job was planned "
            f"(settings {digest}, planned {arguments.expect}): run snakemake again"
        )
    command = ["reedbench", "step", *_words(arguments)]
    if arguments.unless_fresh and _is_fresh(of, arguments, digest, command):
        return
    function: Step = getattr(import_module(f"reedbench.steps.{arguments.verb}"), arguments.verb)
    papers = stands_on(of, arguments)
    recorder = provenance.Recorder(arguments.verb, VERSIONS[arguments.verb], depends, command)
    if (made := function(of, arguments)) is not None:
        made.citations = papers or made.citations
        recorder.record(made)
        if made.kept is not None:
            made.kept.discard()


def cited(words: Sequence[str], config: str) -> Citations:
    """What the outputs of a step stand on: by its command, as sidecars hold it, and the configuration as it is now.

    Raises:
        ConfigError: the configuration has no such benchmark, method, ... any more.
    """
    arguments = _parser().parse_args([*words, "--config", config])
    resolve, _, ask = VERBS[arguments.verb]
    return ask(resolve(suite.load(config), arguments), arguments)


def _is_fresh(of: Of, a: argparse.Namespace, digest: str, command: list[str]) -> bool:
    """Whether running the step again would change nothing; how a run is cut into segments is in no settings."""
    if not provenance.fresh(a.unless_fresh, digest, command):
        return False
    return a.verb != "train" or planning.is_published(of, a.segment)


def _words(arguments: argparse.Namespace) -> list[str]:
    """The arguments as a command line, for the record."""
    words = [arguments.verb]
    for name, value in sorted(vars(arguments).items()):
        if name not in NOT_RECORDED and value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return words


def _suite(loaded: Suite, a: argparse.Namespace) -> Suite:
    return loaded


def _benchmark(loaded: Suite, a: argparse.Namespace) -> Benchmark:
    return runs.benchmark(loaded, a.benchmark)


def _of_run(loaded: Suite, a: argparse.Namespace) -> Run:
    return runs.of(loaded, a.benchmark, a.method, a.seed)


def _cell(loaded: Suite, a: argparse.Namespace) -> Cell:
    return runs.cell(loaded, a.benchmark, a.method, a.seed, a.step, a.sampler)


def _scoring(benchmark: Benchmark, a: argparse.Namespace) -> Any:
    return benchmark.scoring.floor_settings if a.floor else benchmark.scoring.settings


def _report(benchmark: Benchmark, a: argparse.Namespace) -> Any:
    return reports.reporting(benchmark, a.ablation)


def _scored(benchmark: Benchmark, a: argparse.Namespace) -> Citations:
    return citations.of_scores(benchmark, [] if a.method is None else [benchmark.run(a.method, a.seed)])


def _reported(benchmark: Benchmark, a: argparse.Namespace) -> Citations:
    return citations.of_scores(benchmark, benchmark.runs(reports.with_baseline(benchmark, a.ablation)))


Resolve = Callable[[Suite, argparse.Namespace], Of]
Ask = Callable[[Of, argparse.Namespace], Any]
# By verb: what the arguments name, resolved once; the settings on which the step's result depends; what it stands on.
VERBS: dict[str, tuple[Resolve, Ask, Callable[[Of, argparse.Namespace], Citations]]] = {
    "prepare": (_suite, lambda s, a: settings.dataset(s, a.dataset), lambda s, a: citations.of_dataset(s, a.dataset)),
    "caption": (
        _suite,
        lambda s, a: settings.captioner(s, a.dataset, a.captioner),
        lambda s, a: citations.of_captioner(s, a.dataset, a.captioner),
    ),
    "pretrain": (
        _suite,
        lambda s, a: settings.encoder(s, a.dataset, a.encoder),
        lambda s, a: citations.of_encoder(s, a.dataset, a.encoder),
    ),
    "compress": (
        _suite,
        lambda s, a: settings.latents(s, a.dataset, a.codec),
        lambda s, a: citations.of_codec(s, a.dataset, a.codec),
    ),
    "represent": (
        _suite,
        lambda s, a: settings.encoder(s, a.dataset, a.encoder or a.extractor),
        lambda s, a: citations.of_encoder(s, a.dataset, a.encoder or a.extractor),
    ),
    "train": (_of_run, lambda run, a: run.recipe, lambda run, a: citations.of_run(run)),
    "sample": (_cell, lambda cell, a: cell.sampling, lambda cell, a: citations.of_cell(cell)),
    "evaluate": (_benchmark, _scoring, _scored),
    "tabulate": (_benchmark, _report, _reported),
    "plot": (_benchmark, _report, _reported),
    "card": (_of_run, lambda run, a: reports.card(run), lambda run, a: citations.of_scores(run.benchmark, [run])),
    "fetch": (_suite, lambda s, a: settings.weight(s, a.weights), lambda s, a: citations.of_weights(s, a.weights)),
    "paper": (_suite, lambda s, a: paper.read().settings, lambda s, a: {}),
    "smoke": (_suite, lambda s, a: {}, lambda s, a: {}),
}


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="reedbench step", description="Run one step here, without Snakemake.", allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(VERSIONS))
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument("--config", default="config/config.yaml", help="the suite's configuration")
    common.add_argument("--expect", default="", help="refuse to run under other settings than these (12 digits)")
    common.add_argument(
        "--unless-fresh", metavar="FILE", help="do nothing if this command made FILE, and all is as then"
    )

    def verb(name: str, text: str, *names: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, parents=[common], allow_abbrev=False)
        for argument in names:
            integer = argument in ("seed", "segment", "step")
            sub.add_argument(f"--{argument}", required=True, type=natural if integer else str)
        return sub

    verb("fetch", "take weights from outside to results/weights/", "weights")
    cell = ("benchmark", "method", "seed")
    verb("prepare", "make or convert a dataset", "dataset")
    verb("caption", "write one text per datum", "dataset", "captioner")
    verb("pretrain", "train an encoder in-suite", "dataset", "encoder")
    verb("compress", "encode the training split for the backbone", "dataset", "codec")
    represent = verb("represent", "encode the training split, or take its statistics under an extractor", "dataset")
    which = represent.add_mutually_exclusive_group(required=True)
    which.add_argument("--encoder", help="write representations")
    which.add_argument("--extractor", help="write reference statistics")
    train = verb("train", "train one segment of a run", *cell, "segment")
    train.add_argument("--grid", default="", help="refuse to cut the run otherwise: <first>-<last step>-<save_every>")
    sample = verb("sample", "draw samples from a checkpoint", *cell, "step", "sampler")
    evaluate = verb("evaluate", "score the samples of a checkpoint, or the floor", "benchmark")
    evaluate.add_argument("--floor", action="store_true", help="score one half of the training split against the other")
    for argument, kind in (("method", str), ("seed", natural), ("step", natural), ("sampler", str)):
        evaluate.add_argument(f"--{argument}", type=kind)
    for sub in (sample, evaluate):
        sub.add_argument("--recipe", default="", help="refuse to run if the run has another recipe (12 digits)")
    evaluate.add_argument("--sampling", default="", help="refuse to run under other sampling settings (12 digits)")
    for name, text in (("tabulate", "make a table"), ("plot", "make a figure")):
        sub = verb(name, text, "benchmark")
        sub.add_argument("--cache", action="store_true", help="from the committed cache instead of from runs")
        sub.add_argument("--ablation", help="only the methods of this ablation")
        if name == "plot":
            sub.add_argument("--figure", required=True, choices=FIGURES)
    verb("card", "write what there is to know of a run", *cell)
    verb("paper", "make the papers' tables and speed-ups, with own results beside them")
    verb("smoke", "see whether a job here has what benchmarks need")
    return parser
