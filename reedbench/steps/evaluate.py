"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id, a value, its spread (over clusters of homologous chains where the metric knows them, else over
disjoint sampling streams), and the protocol that it was measured under. The floor is what real data score: one half of
the training split against the other, or the best that is possible where the data's law is known.
"""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.report.source import HALVES
from reedbench.schema.checks import RESERVED
from reedbench.schema.runs import Benchmark, Cell
from reedbench.steps.device import device_of
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.represent import read_features
from reedbench.steps.seen import Seen
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.threads import pinned
from reedbench.steps.work import timed
from reedbench.training.ranks import Ranks

THREADS = 1  # of metrics, whatever resources.evaluate.cpus; extractors and folders have their own
MIN_STREAMS = 3
NOT_DRAWN = {"kind": "none", "reason": "nothing was drawn"}


def evaluate(benchmark: Benchmark, arguments: Namespace) -> Made | None:
    """Score one cell, or the floor; all processes extract features, the first one scores.

    Raises:
        MissingArtefact: samples or statistics are absent, or were made under other settings.
    """
    cell = [arguments.method, arguments.seed, arguments.step, arguments.sampler]
    if arguments.floor and any(part is not None for part in cell):
        raise ConfigError("evaluate --floor takes no --method, --seed, --step or --sampler")
    if not arguments.floor and any(part is None for part in cell):
        raise ConfigError("evaluate needs either --floor or all of --method, --seed, --step and --sampler")
    with company(device_of(benchmark, "evaluate")) as ranks, pinned(THREADS):
        if not arguments.floor:
            return _cell(benchmark.cell(*cell), ranks)
        return _floor(benchmark, ranks.device) if ranks.first else None


def _cell(cell: Cell, ranks: Ranks) -> Made | None:
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    provenance.require(cell.samples, cell.sampling_key)
    if provenance.read(cell.samples)["notes"].get("recipe") != run.key:
        raise MissingArtefact(
            f"{cell.samples}: drawn from another recipe's weights; sample again: snakemake -f {cell.samples}"
        )
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    with timed(ranks.device) as begun:
        samples = spec.codec.read(cell.samples)
        seen = Seen(cell, samples, ranks.device)
    inputs = [cell.samples, data, *seen.inputs]
    parts = seen.parts(cell)
    with filled(parts, ranks, seen.make, seen.sizes):
        seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
        if not ranks.first:
            return None
        with timed(ranks.device) as scored:
            _score(cell, samples, lambda name: seen.features(parts, name), inputs, ranks.device)
    return Made(
        [cell.metrics],
        list(dict.fromkeys(inputs)),
        device=ranks.device,
        device_seconds=seconds + scored.seconds,
        cpu_seconds=cpu,
        seeds=[run.seed],
        kept=parts,
    )


def _score(cell: Cell, samples: Rows, seen: Callable[[str], Features], inputs: list[str], device: str) -> None:
    """Write the metric records of a cell; what is read is added to `inputs`."""
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    asked = spec.codec.asked(benchmark.data, rows.index(benchmark.data), len(samples), spec.sampling.streams)

    def features(name: str) -> tuple[Features, Features]:
        reference, statistics = _reference(benchmark, name, device)
        inputs.append(statistics)
        return seen(name), reference

    evidence = CellEvidence(samples, asked, features, lambda name: _folds(benchmark, name, samples))
    body = {
        "benchmark": benchmark.name, "method": run.method, "seed": run.seed, "step": cell.step,
        "sampler": cell.sampler, "weights": "ema", "nfe": cell.drawer.nfe(), "guidance": cell.drawer.guidance,
        "recipe": run.key, "sampling": cell.sampling_key, "evaluation": benchmark.evaluation_key,
        "records": _records(benchmark, evidence), **benchmark.precision,
    }  # fmt: skip
    io.write_json(cell.metrics, body)


def _folds(benchmark: Benchmark, name: str, samples: Rows) -> Any:
    folder = benchmark.spec.folders[name]
    with pinned(folder.threads):
        return folder.fold(samples, device_of(benchmark, "evaluate"))


def _floor(benchmark: Benchmark, device: str) -> Made:
    """What real data score under every metric that can say so."""
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    limits = rows.index(benchmark.data).get("limits", [])
    halves: dict[str, tuple[Features, Features]] = {}
    records, inputs = [], [data]
    for metric in benchmark.spec.metrics:
        if isinstance(metric, FeatureMetric):
            if metric.extractor not in halves:
                halves[metric.extractor], statistics = _halves(benchmark, metric.extractor, device)
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
    out = paths.floor(benchmark.name)
    body = {"benchmark": benchmark.name, "method": RESERVED, "evaluation": benchmark.evaluation_key}
    io.write_json(out, {**body, "records": records})
    return Made([out], inputs)


def _halves(benchmark: Benchmark, extractor: str, device: str) -> tuple[tuple[Features, Features], str]:
    """The training split under an extractor in two halves, chosen by a named stream, and the file that holds it."""
    everything, statistics = _reference(benchmark, extractor, device)
    order = seeds.stream("floor", benchmark.dataset).permutation(len(everything))
    half = len(order) // 2
    return (everything.take(order[:half]), everything.take(order[half:])), statistics


def _reference(benchmark: Benchmark, extractor: str, device: str) -> tuple[Features, str]:
    """The training split under an extractor, and the file that holds it."""
    file = paths.statistics(benchmark.dataset, extractor)
    provenance.require(file, benchmark.encoder_key(extractor))
    return replace(read_features(file), device=device), file


def _records(benchmark: Benchmark, evidence: CellEvidence) -> list[dict[str, Any]]:
    """One record per metric; what cannot be measured here has a reason in place of a value."""
    spec, streams, n, records = benchmark.spec, benchmark.spec.sampling.streams, len(evidence), []
    size = n // streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(streams)]
    for metric in spec.metrics:
        name = metric.id(n, streams)
        if missing := [reason for folder in metric.folders() if (reason := spec.folders[folder].missing())]:
            none = {"kind": "none", "reason": missing[0]}
            records.append({**_record(metric, name, None, n, metric.plain(), none), "reason": missing[0]})
            continue
        reference = evidence.features(metric.extractor)[1] if isinstance(metric, FeatureMetric) else None
        protocol = _protocol(benchmark, metric, reference)
        value, spread = metric.measured(evidence), metric.spread(evidence) or _over_streams(metric, parts)
        records.append(_record(metric, name, value, n, protocol, spread))
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
    protocol = metric.protocol()
    if reference is not None:
        key = benchmark.encoder_key(metric.extractors()[0])
        protocol |= {"n_reference": metric.compared_with(len(reference)), "extractor_settings": key}
    for name in metric.folders():
        protocol["folder_settings"] = benchmark.spec.folders[name].identity()
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
