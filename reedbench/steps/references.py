"""What stands beside the results of a benchmark, besides halves of real data: perfect samples through the codec, real
data in place of samples, and an untrained network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from reedbench.core import seeds
from reedbench.core.errors import NoValue
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN, StoredRows
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.metrics.cknna import NeighbourAlignment
from reedbench.metrics.probe import HiddenProbe
from reedbench.schema.runs import Benchmark
from reedbench.steps import hidden
from reedbench.steps.evidence import CellEvidence
from reedbench.steps.features import in_passes, reference_of, seen_by


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


def beside(benchmark: Benchmark, inputs: list[str], device: str) -> Iterator[Beside]:
    """All of them; what is read is added to `inputs`."""
    if benchmark.spec.codec.lossy:
        yield from _through_the_codec(benchmark, inputs, device)
    yield from _in_place_of_samples(benchmark, inputs)
    for metric in benchmark.spec.metrics:
        if isinstance(metric, HiddenProbe):
            found = hidden.of_nothing(benchmark, metric.tapped, device)
            yield Beside(metric, metric.value(found), metric.test_rows, {}, "network before training")
        elif isinstance(metric, NeighbourAlignment):
            states = hidden.of_nothing(benchmark, metric.tapped, device).test
            same = hidden.under(benchmark, metric.extractor, metric.test_rows, inputs, device)
            yield Beside(metric, metric.value(states, same), metric.test_rows, {}, "network before training")


def _in_place_of_samples(benchmark: Benchmark, inputs: list[str]) -> Iterator[Beside]:
    """Real data under the metrics that can score them: what perfect samples reach."""
    metrics = [metric for metric in benchmark.spec.metrics if metric.of_real]
    if not metrics:
        return
    on_disk, word = _real(benchmark, "in-place-of-samples")
    real, what = on_disk.take(range(len(on_disk))), f"real {word} data"
    inputs += [str(file) for metric in metrics for file in metric.files()]
    evidence = CellEvidence(real, real, training=lambda: rows.read(benchmark.data, TRAIN))
    for metric in metrics:
        try:
            value, values = metric.measured(evidence), metric.values(evidence)
            yield Beside(metric, value, metric.counted(len(real)), {}, what, values)
        except NoValue as reason:
            yield Beside(metric, None, metric.counted(len(real)), {}, what, reason=str(reason))


def _real(benchmark: Benchmark, stream: str) -> tuple[StoredRows, str]:
    """As many test data as samples are drawn, if there are, by a named stream, and the word for them.

    Where there are no test data training data take their place.
    """
    test = rows.read(benchmark.data, TEST)
    there, word = (test, "test") if len(test) else (rows.read(benchmark.data, TRAIN), "training")
    order = seeds.stream(stream, benchmark.dataset).permutation(len(there))
    return there.chosen(order[: benchmark.spec.sampling.count]), word


def _through_the_codec(benchmark: Benchmark, inputs: list[str], device: str) -> Iterator[Beside]:
    """Real data as they are, and encoded and decoded."""
    spec = benchmark.spec
    real, word = _real(benchmark, "through-codec")
    kinds = {f"real {word} data": None, f"real {word} data through the codec": spec.codec.on(device).again}
    for name in benchmark.scoring.extractors:
        reference, file = reference_of(benchmark, name, device)
        seen, read = seen_by(benchmark.suite, benchmark.dataset, name, real, device)
        inputs += [*read, file]
        for what, through in kinds.items():
            features = in_passes(seen, real, device, through)
            for metric in spec.metrics:
                if isinstance(metric, FeatureMetric) and metric.extractor == name:
                    yield Beside(metric, metric.checked(features, reference), len(real), {name: reference}, what)
