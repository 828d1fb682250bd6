"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json; or the floor, what
stands beside them.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import TRAIN, Rows
from reedbench.metrics import Features, Hidden, Tapped
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Benchmark
from reedbench.steps import hidden, pooled, records
from reedbench.steps.asked import asked_of
from reedbench.steps.device import device_of
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.features import reference_of
from reedbench.steps.floor import floor
from reedbench.steps.material import require_pinned
from reedbench.steps.seen import Seen
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.threads import pinned
from reedbench.steps.work import timed
from reedbench.training.ranks import Ranks

THREADS = 1  # of metrics, whatever resources.evaluate.cpus; extractors and folders have their own


def evaluate(benchmark: Benchmark, arguments: Namespace) -> Made | None:
    """Score one cell, or the floor; all processes extract features, the first one scores and records.

    Raises:
        MissingArtefact: samples or statistics are absent, or were made under other settings.
    """
    cell = [arguments.method, arguments.seed, arguments.step, arguments.sampler]
    if arguments.floor and any(part is not None for part in cell):
        raise ConfigError("evaluate --floor takes no --method, --seed, --step or --sampler")
    if not arguments.floor and any(part is None for part in cell):
        raise ConfigError("evaluate needs either --floor or all of --method, --seed, --step and --sampler")
    with company(device_of(benchmark, "evaluate")) as ranks, pinned(THREADS):
        if arguments.floor:
            return floor(benchmark, ranks)
        found = benchmark.cell(*cell)
        found.check_planned(arguments.recipe, arguments.sampling)
        return _cell(found, ranks)


def _cell(cell: Cell, ranks: Ranks) -> Made | None:
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    notes = pooled.require_samples(cell)["notes"]
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    with timed(ranks.device) as begun:
        samples = spec.codec.read(cell.samples)
        seen = Seen(benchmark, samples, ranks.device)
    inputs = [cell.samples, data, *seen.inputs]
    parts = seen.parts(cell.path_names, provenance.read(cell.samples)["sha256"])
    with filled(parts, ranks, seen.make, seen.sizes):
        seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
        if not ranks.first:
            return None
        with timed(ranks.device) as scored:
            _score(cell, notes["nfe"], samples, lambda name: seen.features(parts, name), inputs, ranks.device)
    return Made(
        [cell.metrics],
        list(dict.fromkeys(inputs)),
        device=ranks.device,
        device_seconds=seconds + scored.seconds,
        cpu_seconds=cpu(),
        seeds=[run.seed],
        kept=parts,
    )


def _score(
    cell: Cell, nfe: float, samples: Rows, seen: Callable[[str], Features], inputs: list[str], device: str
) -> None:
    """Write the metric records of a cell, whose samples took `nfe` evaluations each; what is read joins `inputs`."""
    run, benchmark = cell.run, cell.run.benchmark

    def features(name: str) -> tuple[Features, Features]:
        reference, statistics = reference_of(benchmark, name, device)
        inputs.append(statistics)
        return seen(name), reference

    inputs += [str(file) for metric in benchmark.spec.metrics for file in metric.files()]
    evidence = CellEvidence(
        samples,
        asked_of(run, len(samples)),
        training=lambda: rows.read(benchmark.data, TRAIN),
        features=features,
        folds=lambda name: _folds(benchmark, name, samples, inputs),
        hidden=lambda tapped: _hidden(cell, tapped, inputs, device),
        tested=lambda asked: hidden.under(benchmark, *asked, inputs, device),
    )
    body = {
        "benchmark": benchmark.name, "method": run.method, "seed": run.seed, "step": cell.step,
        "sampler": cell.sampler, "weights": run.objective.weights_are(benchmark.spec.train), "nfe": nfe,
        "guidance": cell.drawer.guidance,
        "recipe": run.key, "sampling": cell.sampling_key, "evaluation": benchmark.scoring.key,
        "records": records.of_cell(benchmark, evidence), **benchmark.unusual, **_guided(run.objective.guided_by),
    }  # fmt: skip
    io.write_json(cell.metrics, body)


def _guided(by: str) -> dict[str, str]:
    """Where guidance comes from, if not from a second evaluation, which goes without saying."""
    return {} if by == "pair" else {"guided_by": by}


def _folds(benchmark: Benchmark, name: str, samples: Rows, inputs: list[str]) -> Any:
    folder = benchmark.spec.folders[name]
    require_pinned(benchmark.suite, folder)
    inputs += map(str, folder.files())
    with pinned(folder.threads):
        return folder.fold(samples, device_of(benchmark, "evaluate"))


def _hidden(cell: Cell, tapped: Tapped, inputs: list[str], device: str) -> Hidden:
    found, read = hidden.of_checkpoint(cell, tapped, device)
    inputs += read
    return found
