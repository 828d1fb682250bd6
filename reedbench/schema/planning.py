"""All jobs of a benchmark in an order that works: what Snakemake would run, as plain commands."""

from collections.abc import Iterator
from dataclasses import dataclass

from reedbench.core import paths, pins, stores
from reedbench.core.errors import MissingArtefact
from reedbench.schema import lineage, reports, words
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Benchmark, Run


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


def jobs(benchmark: Benchmark) -> list[Job]:
    """Every job of a benchmark's table and figures (not of its ablations), in order."""
    return [*_preparation(benchmark), *_runs(benchmark), *_reports(benchmark)]


def encoders(benchmark: Benchmark) -> tuple[list[str], list[str], list[str]]:
    """Encoders and extractors of a benchmark's table as they are filed: those whose representations runs keep; all that
    runs ask, with what these read; and all with those that judge. What others read comes first.
    """
    suite, d = benchmark.suite, benchmark.dataset
    kept = list(dict.fromkeys(name for run in _trained(benchmark) for name in run.cached.values()))
    used = dict.fromkeys(name for run in _trained(benchmark) for name in run.encoders.values())
    read = dict.fromkeys(other for name in used for other in suite.read_by(d, name).values())
    ordered = list(dict.fromkeys([*read, *used]))
    seeing = list(dict.fromkeys([*benchmark.scoring.extractors, *benchmark.scoring.witnesses]))
    judges = [other for name in seeing for other in suite.read_by(d, name).values()]
    return kept, ordered, list(dict.fromkeys([*ordered, *judges, *seeing]))


def _trained(benchmark: Benchmark) -> dict[Run, int]:
    """Runs of a benchmark's table, and those that they learn from, with the segments that are wanted of each."""
    return lineage.with_teachers(benchmark.runs(benchmark.shown()))


def _preparation(benchmark: Benchmark) -> Iterator[Job]:
    suite, d, spec = benchmark.suite, benchmark.dataset, benchmark.spec
    kept, ordered, every = encoders(benchmark)
    captioners = dict.fromkeys(c for name in ordered if (c := suite.encoder(d, name).reads_captions_of()) is not None)
    folders = [spec.folders[name] for name in benchmark.scoring.folders]
    readers = [
        *(run.objective for run in _trained(benchmark)),
        spec.codec,
        *(pool.run.benchmark.spec.codec for pool in lineage.pools(_trained(benchmark))),
        *(suite.captioner(d, name) for name in captioners),
        *folders,
    ]
    for weights in pins.names(*readers, *(suite.encoder(d, name) for name in every)):
        yield Job("fetch", f"--weights {weights}", paths.card(paths.pinned(weights)))
    yield Job("prepare", f"--dataset {d}", paths.index(benchmark.data))
    for captioner in captioners:
        yield Job("caption", f"--dataset {d} --captioner {captioner}", paths.captions(d, captioner))
    if latents := next((run.latents for run in _trained(benchmark) if run.latents), None):
        yield Job("compress", f"--dataset {d} --codec {spec.codec.filed()}", paths.index(latents))
    for name in every:
        if suite.encoder(d, name).pretrained:
            yield Job("pretrain", f"--dataset {d} --encoder {name}", paths.weights(paths.encoder(d, name)))
    for name in kept:
        yield Job("represent", f"--dataset {d} --encoder {name}", paths.index(paths.representation(d, name)))
    for name in benchmark.scoring.extractors:
        yield Job("represent", f"--dataset {d} --extractor {name}", paths.statistics(d, name))
    yield Job("evaluate", f"--benchmark {benchmark.name} --floor", paths.floor(benchmark.name))


def _runs(benchmark: Benchmark) -> Iterator[Job]:
    drawn: set[Cell] = set()
    for run, segments in _trained(benchmark).items():
        for pool in lineage.pools([run]):  # after its teacher, which came before
            if pool not in drawn:
                drawn.add(pool)
                yield Job("sample", _words(pool), pool.samples)
        for i in range(segments):
            yield Job("train", words.segment(*run.names, i), run.receipt(i))
    for cell in benchmark.cells(benchmark.shown()):
        if cell not in drawn:
            yield Job("sample", _words(cell), cell.samples)
        yield Job("evaluate", _words(cell), cell.metrics)


def _words(cell: Cell) -> str:
    return words.cell(*cell.run.names, cell.step, cell.sampler)


def _reports(benchmark: Benchmark) -> Iterator[Job]:
    b = benchmark.name
    yield Job("tabulate", f"--benchmark {b}", paths.table(b))
    for figure in reports.figures(benchmark):
        yield Job("plot", f"--benchmark {b} --figure {figure}", paths.figure(b, figure))


def walk_backs(benchmark: Benchmark) -> list[str]:
    """One line per run that must train again what it has trained before, because its resumable state is gone."""
    lines = []
    for run, segments in _trained(benchmark).items():
        for i in range(segments):
            if is_published(run, i):
                continue
            if missing := run.store.missing(run.course.save_points(i)):
                start, _ = run.course.span(i)
                name = run.method if run.benchmark == benchmark else f"{run.benchmark.name}/{run.method}"
                if (newest := run.store.begin(missing)) < start:
                    lines.append(
                        f"{name}, seed {run.seed}: the state of step {start} is gone, training walks back to "
                        f"step {newest}"
                    )
                break
    return lines


def is_published(run: Run, i: int) -> bool:
    """Whether the receipt of a segment is that of the present recipe, span and save points."""
    try:
        receipt = stores.receipt(run.receipt(i))
    except MissingArtefact:
        return False
    weights = {f"{paths.step_name(step)}.safetensors" for step in run.course.save_points(i)}
    found = (receipt["key"], receipt["start"], receipt["stop"], set(receipt["weights"]))
    return found == (run.key, *run.course.span(i), weights)


def script(b: str, work: list[Job], config: str) -> str:
    """A shell script that runs what is not there or out of date, and stops at the first failure."""
    other = "" if config == paths.CONFIG else f" --config {config}"
    lines = [f"{job.command}{other} --unless-fresh {job.done}" for job in work]
    head = [
        "#!/bin/sh",
        f"# All steps of benchmark {b}, in order. Run it again after a stop: what is done is skipped.",
    ]
    return "\n".join([*head, "set -e", *lines]) + "\n"
