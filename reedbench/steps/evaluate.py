"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id, a value, its spread (over clusters of homologous chains where the metric knows them, else over
disjoint sampling streams), and the protocol that it was measured under. The floor is what real data score: one half of
the training split against the other, or the best that is possible where the data's law is known; and what
`steps.references` adds.
"""

from argparse import Namespace
from typing import Any

import numpy as np

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.constants import HALVES
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, FeatureMetric, Features, Hidden, Tapped
from reedbench.schema.checks import RESERVED
from reedbench.schema.runs import Benchmark, Cell
from reedbench.steps import hidden, references
from reedbench.steps.device import device_of
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.features import extract
from reedbench.steps.material import require_pinned
from reedbench.steps.represent import read_features
from reedbench.steps.threads import pinned

THREADS = 1  # of metrics, whatever resources.evaluate.cpus; extractors and folders have their own
MIN_STREAMS = 3
NOT_DRAWN = {"kind": "none", "reason": "nothing was drawn"}


def evaluate(benchmark: Benchmark, arguments: Namespace) -> Made:
    """Score one cell, or the floor.

    Raises:
        MissingArtefact: samples or statistics are absent, or were made under other settings.
    """
    cell = [arguments.method, arguments.seed, arguments.step, arguments.sampler]
    if arguments.floor and any(part is not None for part in cell):
        raise ConfigError("evaluate --floor takes no --method, --seed, --step or --sampler")
    if not arguments.floor and any(part is None for part in cell):
        raise ConfigError("evaluate needs either --floor or all of --method, --seed, --step and --sampler")
    with pinned(THREADS):
        if arguments.floor:
            return _floor(benchmark)
        found = benchmark.cell(*cell)
        found.check_planned(arguments.recipe, arguments.sampling)
        return _cell(found)


def _cell(cell: Cell) -> Made:
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    provenance.require(cell.samples, cell.sampling_key)
    if provenance.read(cell.samples)["notes"].get("recipe") != run.key:
        raise MissingArtefact(
            f"{cell.samples}: drawn from another recipe's weights; sample again: snakemake -f {cell.samples}"
        )
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    samples, inputs = spec.codec.read(cell.samples), [cell.samples, data]
    asked = spec.codec.asked(benchmark.data, rows.index(benchmark.data), len(samples), spec.sampling.streams)
    evidence = CellEvidence(
        samples,
        asked,
        lambda name: _features(benchmark, name, samples, inputs),
        lambda name: _folds(benchmark, name, samples, inputs),
        lambda tapped: _hidden(cell, tapped, inputs),
    )
    body = {
        "benchmark": benchmark.name, "method": run.method, "seed": run.seed, "step": cell.step,
        "sampler": cell.sampler, "weights": "ema", "nfe": cell.drawer.nfe(), "guidance": cell.drawer.guidance,
        "recipe": run.key, "sampling": cell.sampling_key, "evaluation": benchmark.evaluation_key,
        "records": _records(benchmark, evidence),
    }  # fmt: skip
    io.write_json(cell.metrics, body)
    return Made([cell.metrics], list(dict.fromkeys(inputs)), seeds=[run.seed])


def _features(benchmark: Benchmark, name: str, samples: Rows, inputs: list[str]) -> tuple[Features, Features]:
    generated, read = extract(benchmark.suite, benchmark.dataset, name, samples)
    reference, statistics = _reference(benchmark, name)
    inputs += [*read, statistics]
    return generated, reference


def _folds(benchmark: Benchmark, name: str, samples: Rows, inputs: list[str]) -> Any:
    folder = benchmark.spec.folders[name]
    require_pinned(benchmark.suite, folder)
    inputs += map(str, folder.files())
    with pinned(folder.threads):
        return folder.fold(samples, device_of(benchmark, "evaluate"))


def _hidden(cell: Cell, tapped: Tapped, inputs: list[str]) -> Hidden:
    found, read = hidden.of_checkpoint(cell, tapped)
    inputs += read
    return found


def _floor(benchmark: Benchmark) -> Made:
    """What real data score under every metric that can say so."""
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    limits = rows.index(benchmark.data).get("limits", [])
    halves: dict[str, tuple[Features, Features]] = {}
    records, inputs = [], [data]
    for metric in benchmark.spec.metrics:
        if isinstance(metric, FeatureMetric):
            if metric.extractor not in halves:
                halves[metric.extractor], statistics = _halves(benchmark, metric.extractor)
                inputs.append(statistics)
            one, other = halves[metric.extractor]
            protocol = _protocol(benchmark, metric, other)
            name = metric.id(len(one), reference=len(other))
            record = _record(metric, name, metric.checked(one, other), len(one), protocol, NOT_DRAWN)
            records.append({**record, "what": HALVES})
        for limit in limits:
            if limit["metric"] in (metric.family, *([] if metric.settings else [metric.uses])):
                name = metric.id(limit["n"])
                record = _record(metric, name, limit["value"], limit["n"], metric.plain(), NOT_DRAWN)
                records.append({**record, "what": limit["what"]})
    for one in references.beside(benchmark, inputs):
        protocol = _protocol(benchmark, one.metric, one.reference)
        record = _record(one.metric, one.metric.id(one.n), one.value, one.n, protocol, NOT_DRAWN)
        records.append({**record, "what": one.what})
    out = paths.floor(benchmark.name)
    body = {"benchmark": benchmark.name, "method": RESERVED, "evaluation": benchmark.evaluation_key}
    io.write_json(out, {**body, "records": records})
    return Made([out], list(dict.fromkeys(inputs)))


def _halves(benchmark: Benchmark, extractor: str) -> tuple[tuple[Features, Features], str]:
    """The training split under an extractor in two halves, chosen by a named stream, and the file that holds it."""
    everything, statistics = _reference(benchmark, extractor)
    order = seeds.stream("floor", benchmark.dataset).permutation(len(everything))
    half = len(order) // 2
    return (everything.take(order[:half]), everything.take(order[half:])), statistics


def _reference(benchmark: Benchmark, extractor: str) -> tuple[Features, str]:
    """The training split under an extractor, and the file that holds it."""
    file = paths.statistics(benchmark.dataset, extractor)
    provenance.require(file, benchmark.encoder_key(extractor))
    return read_features(file), file


def _records(benchmark: Benchmark, evidence: CellEvidence) -> list[dict[str, Any]]:
    """One record per metric; what cannot be measured here has a reason in place of a value."""
    spec, streams, n, records = benchmark.spec, benchmark.spec.sampling.streams, len(evidence), []
    size = n // streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(streams)]
    for metric in spec.metrics:
        name = metric.id(n, benchmark.repeats)
        if missing := [reason for folder in metric.folders() if (reason := spec.folders[folder].missing())]:
            none = {"kind": "none", "reason": missing[0]}
            records.append({**_record(metric, name, None, n, metric.plain(), none), "reason": missing[0]})
            continue
        reference = evidence.features(metric.extractor)[1] if isinstance(metric, FeatureMetric) else None
        protocol = _protocol(benchmark, metric, reference)
        value, spread = metric.measured(evidence), metric.spread(evidence) or _over_streams(metric, parts)
        records.append(_record(metric, name, value, metric.counted(n), protocol, spread))
    return records


def _record(
    metric: AbstractMetric, name: str, value: float | None, n: int, protocol: dict[str, Any], spread: dict[str, Any]
) -> dict[str, Any]:
    return {
        "metric": name,
        "family": metric.family,
        "value": value,
        "n": n,
        "unit": metric.unit,
        "direction": metric.direction,
        "version": metric.version,
        "spread": spread,
        "protocol": protocol,
    }


def _protocol(benchmark: Benchmark, metric: AbstractMetric, reference: Features | None) -> dict[str, Any]:
    """What a number was measured under."""
    protocol = metric.plain()
    if reference is not None:
        key = benchmark.encoder_key(metric.extractors()[0])
        protocol |= {"n_reference": len(reference), "extractor_settings": key}
    for name in metric.folders():
        protocol["folder_settings"] = benchmark.folder_identity(name)
    return protocol


def _over_streams(metric: AbstractMetric, parts: list[CellEvidence]) -> dict[str, Any]:
    """Standard deviation over disjoint sampling streams, at the streams' own (smaller) number of samples."""
    if len(parts) < MIN_STREAMS:
        return {"kind": "none", "reason": f"{len(parts)} sampling stream(s); a spread needs {MIN_STREAMS}"}
    size, least = len(parts[0]), metric.least_n()
    if size < least:
        return {"kind": "none", "reason": f"{size} samples per stream; {metric.family} needs {least}"}
    values = [metric.measured(part) for part in parts]
    spread = float(np.std(values, ddof=1))
    return {"kind": "std-of-streams", "std": spread, "streams": len(parts), "n": size, "values": values}
