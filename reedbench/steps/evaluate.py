"""evaluate: samples -> metric records, results/metrics/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>.json.

A record is a metric id (name, extractor, version, n), a value, its spread over disjoint sampling streams, and the
protocol that it was measured under. The floor is real data against real data under the same metrics.
"""

from argparse import Namespace
from typing import Any

import numpy as np

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.provenance import Made
from reedbench.domains import image
from reedbench.domains.rows import Rows
from reedbench.metrics import AbstractMetric, Features
from reedbench.schema import settings
from reedbench.schema.checks import RESERVED
from reedbench.schema.suite import Suite
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
    file, sampling = paths.samples(b, m, k, step, s), settings.key(settings.sampling(suite, b, s))
    provenance.require(file, sampling)
    recipe = settings.key(settings.recipe(suite, b, m, k))
    if provenance.read(file)["notes"].get("recipe") != recipe:
        raise MissingArtefact(f"{file}: drawn from another recipe's weights; sample again: snakemake -f {file}")
    images, labels = image.read_samples(file)
    data = Rows([str(i) for i in range(len(labels))], ["sample"] * len(labels), {"images": images, "labels": labels})
    inputs, records = [file], []
    for name in settings.used_extractors(suite, b):
        generated, read = extract(suite, benchmark.dataset.id, name, data)
        reference, statistics = _reference(suite, b, name)
        inputs += [*read, statistics]
        records += _records(suite, b, name, generated, reference, benchmark.sampling.streams)
    body = {
        "benchmark": b, "method": m, "seed": k, "step": step, "sampler": s, "weights": "ema",
        "nfe": sampler.nfe(), "guidance": sampler.guidance, "recipe": recipe,
        "sampling": sampling, "evaluation": settings.key(settings.evaluation(suite, b)), "records": records,
    }  # fmt: skip
    out = paths.metrics(b, m, k, step, s)
    io.write_json(out, body)
    return Made([out], inputs, seeds=[k])


def _floor(suite: Suite, b: str) -> Made:
    """One half of the training split (chosen by a named stream) scored against the other, at half the n."""
    records, inputs = [], []
    for name in settings.used_extractors(suite, b):
        everything, statistics = _reference(suite, b, name)
        order = seeds.numpy_stream("floor", b).permutation(len(everything))
        half = len(order) // 2
        one, other = (everything.take(order[part]) for part in (slice(0, half), slice(half, None)))
        records += _records(suite, b, name, one, other, streams=1)
        inputs.append(statistics)
    out = paths.floor(b)
    evaluation = settings.key(settings.evaluation(suite, b))
    io.write_json(out, {"benchmark": b, "method": RESERVED, "evaluation": evaluation, "records": records})
    return Made([out], inputs)


def _reference(suite: Suite, b: str, extractor: str) -> tuple[Features, str]:
    """The training split under an extractor, and the file that holds it."""
    dataset = settings.dataset_of(suite, b)
    file = paths.statistics(dataset, extractor)
    provenance.require(file, settings.key(settings.encoder(suite, dataset, extractor)))
    return read_features(file), file


def _records(
    suite: Suite, b: str, extractor: str, generated: Features, reference: Features, streams: int
) -> list[dict[str, Any]]:
    """One record per metric under an extractor."""
    size = len(generated) // streams
    # Made once: metrics of one extractor share computations by identity.
    parts = [generated.take(slice(i * size, (i + 1) * size)) for i in range(streams)]
    described = settings.key(settings.encoder(suite, settings.dataset_of(suite, b), extractor))
    return [
        {
            "metric": metric.id(len(generated)),
            "family": metric.family,
            "value": metric.checked(generated, reference),
            "n": len(generated),
            "unit": metric.unit,
            "direction": metric.direction,
            "version": metric.version,
            "spread": _spread(metric, parts, reference),
            "protocol": {**metric.plain(), "n_reference": len(reference), "extractor_settings": described},
        }
        for metric in suite.benchmark(b).metrics
        if metric.extractor == extractor
    ]


def _spread(metric: AbstractMetric, parts: list[Features], reference: Features) -> dict[str, Any]:
    """Standard deviation over disjoint sampling streams, at the streams' own (smaller) number of samples."""
    if len(parts) < MIN_STREAMS:
        return {"kind": "none", "reason": f"{len(parts)} sampling stream(s); a spread needs {MIN_STREAMS}"}
    size, least = len(parts[0]), metric.least_n()
    if size < least:
        return {"kind": "none", "reason": f"{size} samples per stream; {metric.family} needs {least}"}
    values = [metric.checked(part, reference) for part in parts]
    spread = float(np.std(values, ddof=1))
    return {"kind": "std-of-streams", "std": spread, "streams": len(parts), "n": size, "values": values}
