"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id (name, what it looks through, version, n), a value, its spread over disjoint sampling streams,
and the protocol that it was measured under. The floor is what real data score: one half of the training split against
the other, or the best that is possible where the data's law is known.
"""

from argparse import Namespace
from typing import Any

import numpy as np

from reedbench.core import io, paths, provenance, residues, seeds
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

MIN_STREAMS = 3


def evaluate(suite: Suite, arguments: Namespace) -> Made:
    """Score one cell, or the floor.

    Raises:
        MissingArtefact: samples or statistics are absent, or were made under other settings.
    """
    cell = [arguments.method, arguments.seed, arguments.step, arguments.sampler]
    if arguments.floor and any(part is not None for part in cell):
        raise ConfigError("evaluate --floor takes no --method, --seed, --step or --sampler")
    if arguments.floor:
        return _floor(suite, arguments.benchmark)
    if any(part is None for part in cell):
        raise ConfigError("evaluate needs either --floor or all of --method, --seed, --step and --sampler")
    return _cell(suite, arguments.benchmark, *cell)


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
    sequences = [residues.letters(row) for row in samples.arrays["tokens"]]
    return suite.benchmark(b).folders[name].fold(sequences, device_of(suite, b, "evaluate"))


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
            record = _record(metric, metric.checked(one, other), len(one), protocol, _too_few(1))
            records.append({**record, "what": HALVES})
        for limit in limits:
            if limit["metric"] in (metric.family, metric.uses):
                record = _record(metric, limit["value"], limit["n"], metric.plain(), _too_few(1))
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
    benchmark, n = suite.benchmark(b), len(evidence)
    size = n // benchmark.sampling.streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(benchmark.sampling.streams)]
    records = []
    for metric in benchmark.metrics:
        missing = [reason for name in metric.folders() if (reason := benchmark.folders[name].missing())]
        if missing:
            none = {"kind": "none", "reason": missing[0]}
            records.append({**_record(metric, None, n, metric.plain(), none), "reason": missing[0]})
            continue
        value, spread = metric.measured(evidence), _spread(metric, parts)
        reference = evidence.features(metric.extractor)[1] if isinstance(metric, FeatureMetric) else None
        records.append(_record(metric, value, n, _protocol(suite, b, metric, reference), spread))
    return records


def _record(
    metric: AbstractMetric, value: float | None, n: int, protocol: dict[str, Any], spread: dict[str, Any]
) -> dict[str, Any]:
    return {
        "metric": metric.id(n),
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


def _spread(metric: AbstractMetric, parts: list[CellEvidence]) -> dict[str, Any]:
    """Standard deviation over disjoint sampling streams, at the streams' own (smaller) number of samples."""
    if len(parts) < MIN_STREAMS:
        return _too_few(len(parts))
    if metric.pools():
        return {"kind": "none", "reason": "it looks at the samples of all streams together"}
    size, least = len(parts[0]), metric.least_n()
    if size < least:
        return {"kind": "none", "reason": f"{size} samples per stream; {metric.family} needs {least}"}
    values = [metric.measured(part) for part in parts]
    spread = float(np.std(values, ddof=1))
    return {"kind": "std-of-streams", "std": spread, "streams": len(parts), "n": size, "values": values}


def _too_few(streams: int) -> dict[str, Any]:
    return {"kind": "none", "reason": f"{streams} sampling stream(s); a spread needs {MIN_STREAMS}"}
