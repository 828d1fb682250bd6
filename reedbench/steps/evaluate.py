"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id (name, extractor, version, n), a value, its spread over disjoint sampling streams, and the
protocol that it was measured under. The floor is real data against real data under the same metrics.
"""

from argparse import Namespace
from typing import Any

import numpy as np

from reedbench.core import io, paths, seeds
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.domains import image
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, Features
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.features import extract
from reedbench.steps.represent import read_features

MIN_STREAMS = 3


def evaluate(suite: Suite, arguments: Namespace) -> Made:
    """Score one cell, or the floor."""
    if arguments.floor:
        return _floor(suite, arguments.benchmark)
    cell = [arguments.method, arguments.seed, arguments.step, arguments.sampler]
    if any(part is None for part in cell):
        raise ConfigError("evaluate needs either --floor or all of --method, --seed, --step and --sampler")
    b, (m, k, step, s) = arguments.benchmark, cell
    benchmark, sampler = suite.benchmark(b), settings.sampler(suite, b, s)
    settings.method(suite, b, m)  # a method that does not exist is a wrong word, not a missing file
    file = paths.samples(b, m, k, step, s)
    images, labels = image.read_samples(file)
    data = Rows([str(i) for i in range(len(labels))], ["sample"] * len(labels), {"images": images, "labels": labels})
    inputs, records = [file], []
    for name in settings.used_extractors(suite, b):
        generated, read = extract(suite, benchmark.dataset.id, name, data)
        statistics = paths.statistics(benchmark.dataset.id, name)
        reference = read_features(statistics)
        inputs += [*read, statistics]
        records += [
            _record(metric, generated, reference, benchmark.sampling.streams)
            for metric in benchmark.metrics
            if metric.extractor == name
        ]
    body = {
        "benchmark": b, "method": m, "seed": k, "step": step, "sampler": s, "weights": "ema",
        "nfe": sampler.nfe(), "guidance": sampler.guidance, "records": records,
    }  # fmt: skip
    out = paths.metrics(b, m, k, step, s)
    io.write_json(out, body)
    return Made([out], inputs)


def _floor(suite: Suite, b: str) -> Made:
    """One half of the training split (chosen by a named stream) scored against the other."""
    benchmark = suite.benchmark(b)
    records, inputs = [], []
    for name in settings.used_extractors(suite, b):
        statistics = paths.statistics(benchmark.dataset.id, name)
        everything = read_features(statistics)
        order = seeds.numpy_stream("floor", b).permutation(len(everything))
        half = len(order) // 2
        one, other = (_rows(everything, order[part]) for part in (slice(0, half), slice(half, None)))
        usable = [m for m in benchmark.metrics if m.extractor == name and not m.needs_classifier]
        records += [_record(metric, one, other, streams=1) for metric in usable]
        inputs.append(statistics)
    out = paths.floor(b)
    io.write_json(out, {"benchmark": b, "method": "floor", "records": records})
    return Made([out], inputs)


def _rows(features: Features, rows: np.ndarray) -> Features:
    return Features(features.features[rows], features.labels[rows])


def _record(metric: AbstractMetric, generated: Features, reference: Features, streams: int) -> dict[str, Any]:
    return {
        "metric": metric.id(len(generated)),
        "family": metric.family,
        "value": metric.checked(generated, reference),
        "n": len(generated),
        "unit": metric.unit,
        "direction": metric.direction,
        "version": metric.version,
        "spread": _spread(metric, generated, reference, streams),
        "protocol": {**metric.plain(), "n_reference": len(reference)},
    }


def _spread(metric: AbstractMetric, generated: Features, reference: Features, streams: int) -> dict[str, Any]:
    """Standard deviation over disjoint sampling streams, at the streams' own (smaller) number of samples."""
    if streams < MIN_STREAMS:
        return {"kind": "none", "reason": f"{streams} sampling stream(s); a spread needs {MIN_STREAMS}"}
    size = len(generated) // streams
    if size < metric.min_n:
        return {"kind": "none", "reason": f"{size} samples per stream; {metric.family} needs {metric.min_n}"}
    parts = [generated.take(slice(i * size, (i + 1) * size)) for i in range(streams)]
    values = [metric.checked(part, reference) for part in parts]
    return {
        "kind": "std-of-streams",
        "std": float(np.std(values, ddof=1)),
        "streams": streams,
        "n": size,
        "values": values,
    }
