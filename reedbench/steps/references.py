"""What stands beside the results of a benchmark, besides halves of real data: perfect samples through the codec, real
data in place of samples, and an untrained network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reedbench.core import seeds
from reedbench.core.errors import NoValue
from reedbench.core.parts import Parts
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN, StoredRows
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.metrics.cknna import NeighbourAlignment
from reedbench.metrics.probe import HiddenProbe
from reedbench.schema.runs import Benchmark
from reedbench.steps import hidden
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.features import reference_of
from reedbench.steps.material import require_pinned
from reedbench.steps.seen import Seen, Way


@dataclass(frozen=True)
class Beside:
    """One value: of which metric, on how many rows, against which references by extractor, and of what.

    `values` are those of the rows, where the metric knows them. Where there is no value there is a `reason`.
    """

    metric: AbstractMetric
    value: float | None
    n: int
    references: Mapping[str, Features]
    what: str
    values: np.ndarray | None = None
    reason: str = ""


def real_data(benchmark: Benchmark, device: str) -> Seen:
    """Real data in place of samples, as they are and encoded and decoded, under the extractors.

    Of a codec that loses nothing there is nothing to see.
    """
    codec = benchmark.spec.codec
    if not benchmark.scoring.through_codec:
        return Seen(benchmark, rows.read(benchmark.data, TEST), device, {})
    require_pinned(benchmark.suite, codec)
    real, word = _in_place(benchmark, "through-codec")
    ways: dict[str, Way] = {f"real {word} data": None, f"real {word} data through the codec": codec.on(device).again}
    return Seen(benchmark, real, device, ways, [str(file) for file in codec.files()])


def beside(benchmark: Benchmark, real: Seen, parts: Parts, inputs: list[str], device: str) -> Iterator[Beside]:
    """All of them; what is read is added to `inputs`.

    Args:
        benchmark: whose results these are.
        real: what `real_data` gave.
        parts: of it; all of them are there.
        inputs: files that were read.
        device: on which is compared, and on which the untrained network computes.
    """
    yield from _through_the_codec(benchmark, real, parts, inputs, device)
    yield from in_place_of_samples(benchmark, inputs)
    for metric in benchmark.spec.metrics:
        if isinstance(metric, HiddenProbe):
            found = hidden.of_nothing(benchmark, metric.tapped, inputs, device)
            yield Beside(metric, metric.value(found), metric.test_rows, {}, "network before training")
        elif isinstance(metric, NeighbourAlignment):
            states = hidden.of_nothing(benchmark, metric.tapped, inputs, device).test
            same = hidden.under(benchmark, metric.extractor, metric.test_rows, inputs, device)
            yield Beside(metric, metric.value(states, same), metric.test_rows, {}, "network before training")


def in_place_of_samples(benchmark: Benchmark, inputs: list[str]) -> Iterator[Beside]:
    """Real data under the metrics that can score them: what perfect samples reach."""
    metrics = [metric for metric in benchmark.spec.metrics if metric.of_real]
    if not metrics:
        return
    on_disk, word = _in_place(benchmark, "in-place-of-samples")
    real, what = on_disk.take(range(len(on_disk))), f"real {word} data"
    inputs += [str(file) for metric in metrics for file in metric.files()]
    evidence = CellEvidence(real, real, training=lambda: rows.read(benchmark.data, TRAIN))
    for metric in metrics:
        try:
            value, values = metric.measured(evidence), metric.values(evidence)
            yield Beside(metric, value, metric.counted(len(real)), {}, what, values)
        except NoValue as reason:
            yield Beside(metric, None, metric.counted(len(real)), {}, what, reason=str(reason))


def _in_place(benchmark: Benchmark, stream: str) -> tuple[StoredRows, str]:
    """As many test data as samples are drawn, if there are, by a named stream, and the word for them.

    Where there are no test data training data take their place.
    """
    test = rows.read(benchmark.data, TEST)
    there, word = (test, "test") if len(test) else (rows.read(benchmark.data, TRAIN), "training")
    order = seeds.stream(stream, benchmark.dataset).permutation(len(there))
    return there.chosen(order[: benchmark.spec.sampling.count]), word


def _through_the_codec(
    benchmark: Benchmark, real: Seen, parts: Parts, inputs: list[str], device: str
) -> Iterator[Beside]:
    """Real data as they are, and encoded and decoded."""
    inputs += real.inputs
    for name in benchmark.scoring.extractors if real.ways else ():
        reference, file = reference_of(benchmark, name, device)
        inputs.append(file)
        for what in real.ways:
            features = real.features(parts, name, what)
            for metric in benchmark.spec.metrics:
                if isinstance(metric, FeatureMetric) and metric.extractor == name:
                    yield Beside(metric, metric.checked(features, reference), len(features), {name: reference}, what)
