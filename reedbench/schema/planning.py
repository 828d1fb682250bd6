"""All jobs of a benchmark in an order that works: what Snakemake would run, as plain commands."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reedbench.core import io, paths, stores
from reedbench.core.errors import MissingArtefact
from reedbench.schema import settings, words
from reedbench.schema.suite import Suite


@dataclass(frozen=True)
class Job:
    """One step: its verb, its arguments as on the command line, and the output that says that it is done."""

    verb: str
    arguments: str
    done: str

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"reedbench step {self.verb} {self.arguments}"


def jobs(suite: Suite, b: str) -> list[Job]:
    """Every job of a benchmark's table and figures (not of its ablations), in order."""
    methods = settings.shown(suite, b, None)
    return [*_preparation(suite, b, methods), *_runs(suite, b, methods), *_reports(suite, b)]


def _preparation(suite: Suite, b: str, methods: tuple[str, ...]) -> Iterator[Job]:
    d = settings.dataset_of(suite, b)
    yield Job("prepare", f"--dataset {d}", paths.index(paths.data(d)))
    runs = [(m, k) for m in methods for k in suite.benchmark(b).seeds]
    used = dict.fromkeys(name for m, k in runs for name in settings.encoders(suite, b, m, k).values())
    read = dict.fromkeys(other for name in used for other in suite.read_by(d, name).values())
    # Encoders that others read come first; extractors read nothing.
    ordered = list(dict.fromkeys([*read, *used]))
    captioners = dict.fromkeys(c for name in ordered if (c := suite.encoder(d, name).reads_captions_of()) is not None)
    for captioner in captioners:
        yield Job("caption", f"--dataset {d} --captioner {captioner}", paths.captions(d, captioner))
    extractors = settings.used_extractors(suite, b)
    for name in [*ordered, *extractors]:
        if suite.encoder(d, name).pretrained:
            yield Job("pretrain", f"--dataset {d} --encoder {name}", paths.weights(paths.encoder(d, name)))
    for name in used:
        yield Job("represent", f"--dataset {d} --encoder {name}", paths.index(paths.representation(d, name)))
    for name in extractors:
        yield Job("represent", f"--dataset {d} --extractor {name}", paths.statistics(d, name))
    yield Job("evaluate", f"--benchmark {b} --floor", paths.floor(b))


def _runs(suite: Suite, b: str, methods: tuple[str, ...]) -> Iterator[Job]:
    for m in methods:
        for k in suite.benchmark(b).seeds:
            for i in range(settings.segments(suite, b)):
                yield Job("train", words.segment(b, m, k, i), paths.receipt(b, m, k, i))
    for m, k, step, s in settings.cells(suite, b, methods):
        cell = f"{words.run(b, m, k)} --step {step} --sampler {s}"
        yield Job("sample", cell, paths.samples(b, m, k, step, s))
        yield Job("evaluate", cell, paths.metrics(b, m, k, step, s))


def _reports(suite: Suite, b: str) -> Iterator[Job]:
    yield Job("tabulate", f"--benchmark {b}", paths.table(b))
    for figure in settings.figures(suite, b):
        yield Job("plot", f"--benchmark {b} --figure {figure}", paths.figure(b, figure))


def walk_backs(suite: Suite, b: str) -> list[str]:
    """One line per run that must train again what it has trained before, because its resumable state is gone."""
    lines = []
    for m in settings.shown(suite, b, None):
        for k in suite.benchmark(b).seeds:
            key = settings.key(settings.recipe(suite, b, m, k))
            spans = (settings.span(suite, b, i) for i in range(settings.segments(suite, b)))
            unpublished = (span for i, span in enumerate(spans) if not is_published(suite, b, m, k, i))
            folder = stores.Folder(paths.store(b, m, k, key))
            for span in unpublished:
                if missing := folder.missing(settings.save_points(suite, b, span)):
                    if (newest := folder.begin(missing)) < span[0]:
                        lines.append(
                            f"{m}, seed {k}: the state of step {span[0]} is gone, training walks back to step {newest}"
                        )
                    break
    return lines


def is_published(suite: Suite, b: str, m: str, k: int, i: int) -> bool:
    """Whether the receipt of a segment is that of the present recipe, span and save points."""
    try:
        receipt = io.read_json(paths.receipt(b, m, k, i))
    except MissingArtefact:
        return False
    span = settings.span(suite, b, i)
    weights = {f"{paths.step_name(step)}.safetensors" for step in settings.save_points(suite, b, span)}
    found = (receipt.get("key"), receipt.get("start"), receipt.get("stop"), set(receipt.get("weights", ())))
    return found == (settings.key(settings.recipe(suite, b, m, k)), *span, weights)


def script(b: str, work: list[Job], config: str) -> str:
    """A shell script that runs what is not there or out of date, and stops at the first failure."""
    other = "" if config == paths.CONFIG else f" --config {config}"
    lines = [f"{job.command}{other} --unless-fresh {job.done}" for job in work]
    head = [
        "#!/bin/sh",
        f"# All steps of benchmark {b}, in order. Run it again after a stop: what is done is skipped.",
    ]
    return "\n".join([*head, "set -e", *lines]) + "\n"


def overview(work: list[Job]) -> list[list[str]]:
    """Rows of a table: step, number of jobs, how many are already done."""
    total = Counter(job.verb for job in work)
    done = Counter(job.verb for job in work if Path(job.done).exists())
    rows = [[verb, str(total[verb]), str(done[verb])] for verb in total]
    return [["step", "jobs", "outputs there"], *rows, ["all", str(sum(total.values())), str(sum(done.values()))]]
