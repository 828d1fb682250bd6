"""What stands beside the results of a benchmark, besides halves of real data: perfect samples through the codec, and an
untrained network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reedbench.core import seeds
from reedbench.core.parts import Parts
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.metrics.cknna import NeighbourAlignment
from reedbench.metrics.probe import HiddenProbe
from reedbench.schema.runs import Benchmark
from reedbench.steps import hidden
from reedbench.steps.features import reference_of
from reedbench.steps.material import require_pinned
from reedbench.steps.seen import Seen, Way


@dataclass(frozen=True)
class Beside:
    """One value: of which metric, on how many rows, against which references by extractor, and of what."""

    metric: AbstractMetric
    value: float
    n: int
    references: Mapping[str, Features]
    what: str


def real_data(benchmark: Benchmark, device: str) -> Seen:
    """As many test data as samples are drawn, if there are, as they are and encoded and decoded, under the extractors.

    Where there are no test data training data take their place. Of a codec that loses nothing there is nothing to see.
    """
    codec, test = benchmark.spec.codec, rows.read(benchmark.data, TEST)
    if not benchmark.scoring.through_codec:
        return Seen(benchmark, test, device, {})
    require_pinned(benchmark.suite, codec)
    there, word = (test, "test") if len(test) else (rows.read(benchmark.data, TRAIN), "training")
    order = seeds.stream("through-codec", benchmark.dataset).permutation(len(there))
    real = there.chosen(order[: benchmark.spec.sampling.count])
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
    yield from _real(benchmark, real, parts, inputs, device)
    for metric in benchmark.spec.metrics:
        if isinstance(metric, HiddenProbe):
            found = hidden.of_nothing(benchmark, metric.tapped, inputs, device)
            yield Beside(metric, metric.value(found), metric.test_rows, {}, "network before training")
        elif isinstance(metric, NeighbourAlignment):
            states = hidden.of_nothing(benchmark, metric.tapped, inputs, device).test
            same = hidden.under(benchmark, metric.extractor, metric.test_rows, inputs, device)
            yield Beside(metric, metric.value(states, same), metric.test_rows, {}, "network before training")


def _real(benchmark: Benchmark, real: Seen, parts: Parts, inputs: list[str], device: str) -> Iterator[Beside]:
    inputs += real.inputs
    for name in benchmark.scoring.extractors if real.ways else ():
        reference, file = reference_of(benchmark, name, device)
        inputs.append(file)
        for what in real.ways:
            features = real.features(parts, name, what)
            for metric in benchmark.spec.metrics:
                if isinstance(metric, FeatureMetric) and metric.extractor == name:
                    yield Beside(metric, metric.checked(features, reference), len(features), {name: reference}, what)
