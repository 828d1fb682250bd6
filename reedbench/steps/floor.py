"""What stands beside the results: real data under the metrics, one half of the training split against the other; the
best that is possible where the data's law is known; and what `steps.references` adds.

Real data go through the codec and the extractors part by part, on all processes; the first one does the rest.
"""

from collections.abc import Iterator
from typing import Any

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.constants import HALVES
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.metrics import FeatureMetric, Features
from reedbench.schema.checks import RESERVED
from reedbench.schema.runs import Benchmark
from reedbench.steps import references
from reedbench.steps.features import reference_of
from reedbench.steps.records import named, protocol_of, record
from reedbench.steps.streamed import all_cpu_seconds, device_seconds, filled
from reedbench.steps.work import timed
from reedbench.training.ranks import Ranks

NOT_DRAWN = {"kind": "none", "reason": "nothing was drawn"}


def floor(benchmark: Benchmark, ranks: Ranks) -> Made | None:
    """What real data score under every metric that can say so; the first process records it."""
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    with timed(ranks.device) as begun:
        real = references.real_data(benchmark, ranks.device)
    parts = real.parts((benchmark.name, RESERVED), [provenance.read(data)["sha256"], benchmark.scoring.floor_key])
    with filled(parts, ranks, real.make, real.sizes):
        seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
        if not ranks.first:
            return None
        inputs = [data]
        with timed(ranks.device) as scored:
            found = [*_halves_and_limits(benchmark, inputs, ranks.device)]
            for beside in references.beside(benchmark, real, parts, inputs, ranks.device):
                metric, n, protocol = beside.metric, beside.n, protocol_of(benchmark, beside.metric, beside.references)
                one = record(metric, named(metric.id(n), protocol), beside.value, n, protocol, NOT_DRAWN, beside.values)
                found.append({**one, "what": beside.what, **({"reason": beside.reason} if beside.reason else {})})
            out = paths.floor(benchmark.name)
            body = {"benchmark": benchmark.name, "method": RESERVED, "evaluation": benchmark.scoring.floor_key}
            io.write_json(out, {**body, "records": found})
    return Made(
        [out],
        list(dict.fromkeys(inputs)),
        device=ranks.device,
        device_seconds=seconds + scored.seconds,
        cpu_seconds=cpu(),
        kept=parts,
    )


def _halves_and_limits(benchmark: Benchmark, inputs: list[str], device: str) -> Iterator[dict[str, Any]]:
    """Records of both; what is read is added to `inputs`."""
    limits = rows.index(benchmark.data).get("limits", [])
    halves: dict[str, tuple[Features, Features]] = {}
    for metric in benchmark.spec.metrics:
        if isinstance(metric, FeatureMetric):
            if metric.extractor not in halves:
                halves[metric.extractor], statistics = _halves(benchmark, metric.extractor, device)
                inputs.append(statistics)
            one, other = halves[metric.extractor]
            protocol = protocol_of(benchmark, metric, {metric.extractor: other})
            name = named(metric.id(len(one), reference=len(other) if metric.compares else None), protocol)
            found = record(metric, name, metric.checked(one, other), len(one), protocol, NOT_DRAWN)
            yield {**found, "what": f"half against half of {metric.extractor}'s file" if other.file else HALVES}
        for limit in limits:
            if limit["metric"] in (metric.family, *([] if metric.settings else [metric.uses])):
                found = record(metric, metric.id(n := limit["n"]), limit["value"], n, metric.plain(), NOT_DRAWN)
                yield {**found, "what": limit["what"]}


def _halves(benchmark: Benchmark, extractor: str, device: str) -> tuple[tuple[Features, Features], str]:
    """The training split under an extractor in two halves, chosen by a named stream, and the file that holds it."""
    everything, statistics = reference_of(benchmark, extractor, device)
    order = seeds.stream("floor", benchmark.dataset).permutation(len(everything))
    half = len(order) // 2
    return (everything.take(order[:half]), everything.take(order[half:])), statistics
