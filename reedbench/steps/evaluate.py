"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id, a value, its spread (over clusters of homologous chains where the metric knows them, else over
disjoint sampling streams), and the protocol that it was measured under. The floor is what real data score: one half of
the training split against the other, or the best that is possible where the data's law is known.
"""

from argparse import Namespace
from typing import Any

import numpy as np

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.report.source import HALVES
from reedbench.schema import settings
from reedbench.schema.checks import RESERVED
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.features import extract
from reedbench.steps.represent import read_features
from reedbench.steps.threads import pinned

THREADS = 1  # of metrics, whatever resources.evaluate.cpus; extractors and folders have their own
MIN_STREAMS = 3
NOT_DRAWN = {"kind": "none", "reason": "nothing was drawn"}


def evaluate(suite: Suite, arguments: Namespace) -> Made:
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
        return _floor(suite, arguments.benchmark) if arguments.floor else _cell(suite, arguments.benchmark, *cell)


def _cell(suite: Suite, b: str, m: str, k: int, step: int, s: str) -> Made:
    benchmark, sampler = suite.benchmark(b), settings.sampler(suite, b, s)
    settings.method(suite, b, m)  # a name that does not exist is the user's error, not a missing file
    folder, sampling = paths.samples(b, m, k, step, s), settings.key(settings.sampling(suite, b, s))
    provenance.require(folder, sampling)
    recipe = settings.key(settings.recipe(suite, b, m, k))
    if provenance.read(folder)["notes"].get("recipe") != recipe:
        raise MissingArtefact(f"{folder}: drawn from another recipe's weights; sample again: snakemake -f {folder}")
    data = paths.data(benchmark.dataset.id)
    provenance.require(paths.index(data), settings.key(settings.dataset(suite, benchmark.dataset.id)))
    samples, inputs = benchmark.codec.read(folder), [folder, paths.index(data)]
    asked = benchmark.codec.asked(data, rows.index(data), len(samples), benchmark.sampling.streams)
    evidence = CellEvidence(
        samples,
        asked,
        lambda name: _features(suite, b, name, samples, inputs),
        lambda name: _folds(suite, b, name, samples),
    )
    body = {
        "benchmark": b, "method": m, "seed": k, "step": step, "sampler": s, "weights": "ema",
        "nfe": sampler.nfe(), "guidance": sampler.guidance, "recipe": recipe, "sampling": sampling,
        "evaluation": settings.key(settings.evaluation(suite, b)), "records": _records(suite, b, evidence),
    }  # fmt: skip
    out = paths.metrics(b, m, k, step, s)
    io.write_json(out, body)
    return Made([out], list(dict.fromkeys(inputs)), seeds=[k])


def _features(suite: Suite, b: str, name: str, samples: Rows, inputs: list[str]) -> tuple[Features, Features]:
    generated, read = extract(suite, settings.dataset_of(suite, b), name, samples)
    reference, statistics = _reference(suite, b, name)
    inputs += [*read, statistics]
    return generated, reference


def _folds(suite: Suite, b: str, name: str, samples: Rows) -> Any:
    folder = suite.benchmark(b).folders[name]
    with pinned(folder.threads):
        return folder.fold(samples, device_of(suite, b, "evaluate"))


def _floor(suite: Suite, b: str) -> Made:
    """What real data score under every metric that can say so."""
    data = paths.index(paths.data(settings.dataset_of(suite, b)))
    provenance.require(data, settings.key(settings.dataset(suite, settings.dataset_of(suite, b))))
    limits = rows.index(paths.data(settings.dataset_of(suite, b))).get("limits", [])
    halves: dict[str, tuple[Features, Features]] = {}
    records, inputs = [], [data]
    for metric in suite.benchmark(b).metrics:
        if isinstance(metric, FeatureMetric):
            if metric.extractor not in halves:
                halves[metric.extractor], statistics = _halves(suite, b, metric.extractor)
                inputs.append(statistics)
            one, other = halves[metric.extractor]
            protocol = _protocol(suite, b, metric, other)
            name = metric.id(len(one), reference=len(other))
            record = _record(metric, name, metric.checked(one, other), len(one), protocol, NOT_DRAWN)
            records.append({**record, "what": HALVES})
        for limit in limits:
            if limit["metric"] in (metric.family, *([] if metric.settings else [metric.uses])):
                name = metric.id(limit["n"])
                record = _record(metric, name, limit["value"], limit["n"], metric.plain(), NOT_DRAWN)
                records.append({**record, "what": limit["what"]})
    out = paths.floor(b)
    evaluation = settings.key(settings.evaluation(suite, b))
    io.write_json(out, {"benchmark": b, "method": RESERVED, "evaluation": evaluation, "records": records})
    return Made([out], inputs)


def _halves(suite: Suite, b: str, extractor: str) -> tuple[tuple[Features, Features], str]:
    """The training split under an extractor in two halves, chosen by a named stream, and the file that holds it."""
    everything, statistics = _reference(suite, b, extractor)
    order = seeds.stream("floor", settings.dataset_of(suite, b)).permutation(len(everything))
    half = len(order) // 2
    return (everything.take(order[:half]), everything.take(order[half:])), statistics


def _reference(suite: Suite, b: str, extractor: str) -> tuple[Features, str]:
    """The training split under an extractor, and the file that holds it."""
    dataset = settings.dataset_of(suite, b)
    file = paths.statistics(dataset, extractor)
    provenance.require(file, settings.key(settings.encoder(suite, dataset, extractor)))
    return read_features(file), file


def _records(suite: Suite, b: str, evidence: CellEvidence) -> list[dict[str, Any]]:
    """One record per metric; what cannot be measured here has a reason in place of a value."""
    benchmark, n, records = suite.benchmark(b), len(evidence), []
    size = n // benchmark.sampling.streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(benchmark.sampling.streams)]
    for metric in benchmark.metrics:
        name = metric.id(n, benchmark.sampling.streams)
        if missing := [reason for folder in metric.folders() if (reason := benchmark.folders[folder].missing())]:
            none = {"kind": "none", "reason": missing[0]}
            records.append({**_record(metric, name, None, n, metric.plain(), none), "reason": missing[0]})
            continue
        reference = evidence.features(metric.extractor)[1] if isinstance(metric, FeatureMetric) else None
        protocol = _protocol(suite, b, metric, reference)
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


def _protocol(suite: Suite, b: str, metric: AbstractMetric, reference: Features | None) -> dict[str, Any]:
    """What a number was measured under."""
    protocol = metric.plain()
    if reference is not None:
        described = settings.encoder(suite, settings.dataset_of(suite, b), metric.extractors()[0])
        protocol |= {"n_reference": len(reference), "extractor_settings": settings.key(described)}
    for name in metric.folders():
        protocol["folder_settings"] = settings.folder(suite, b, name)
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
