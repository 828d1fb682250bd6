"""What stands beside the results of a benchmark, besides halves of real data: perfect samples through the codec, and an
untrained network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reedbench.core import seeds
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.metrics.cknna import NeighbourAlignment
from reedbench.metrics.probe import HiddenProbe
from reedbench.schema.runs import Benchmark
from reedbench.steps import hidden
from reedbench.steps.features import in_passes, reference_of, seen_by


@dataclass(frozen=True)
class Beside:
    """One value: of which metric, on how many rows, against which references by extractor, and of what."""

    metric: AbstractMetric
    value: float
    n: int
    references: Mapping[str, Features]
    what: str


def beside(benchmark: Benchmark, inputs: list[str], device: str) -> Iterator[Beside]:
    """All of them; what is read is added to `inputs`."""
    if benchmark.spec.codec.lossy:
        yield from _through_the_codec(benchmark, inputs, device)
    for metric in benchmark.spec.metrics:
        if isinstance(metric, HiddenProbe):
            found = hidden.of_nothing(benchmark, metric.tapped, device)
            yield Beside(metric, metric.value(found), metric.test_rows, {}, "network before training")
        elif isinstance(metric, NeighbourAlignment):
            states = hidden.of_nothing(benchmark, metric.tapped, device).test
            same = hidden.under(benchmark, metric.extractor, metric.test_rows, inputs, device)
            yield Beside(metric, metric.value(states, same), metric.test_rows, {}, "network before training")


def _through_the_codec(benchmark: Benchmark, inputs: list[str], device: str) -> Iterator[Beside]:
    """As many test data as samples are drawn, if there are, as they are and encoded and decoded.

    Where there are no test data training data take their place.
    """
    spec, test = benchmark.spec, rows.read(benchmark.data, TEST)
    there, word = (test, "test") if len(test) else (rows.read(benchmark.data, TRAIN), "training")
    order = seeds.stream("through-codec", benchmark.dataset).permutation(len(there))
    real = there.chosen(order[: spec.sampling.count])
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
