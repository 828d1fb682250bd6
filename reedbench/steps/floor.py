"""What stands beside the results: real data under the metrics, one half of the training split against the other; the
best that is possible where the data's law is known; and what `steps.references` adds."""

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

NOT_DRAWN = {"kind": "none", "reason": "nothing was drawn"}


def floor(benchmark: Benchmark, device: str) -> Made:
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
            protocol = protocol_of(benchmark, metric, {metric.extractor: other})
            name = named(metric.id(len(one), reference=len(other) if metric.compares else None), protocol)
            found = record(metric, name, metric.checked(one, other), len(one), protocol, NOT_DRAWN)
            records.append(
                {**found, "what": f"half against half of {metric.extractor}'s file" if other.file else HALVES}
            )
        for limit in limits:
            if limit["metric"] in (metric.family, *([] if metric.settings else [metric.uses])):
                found = record(metric, metric.id(n := limit["n"]), limit["value"], n, metric.plain(), NOT_DRAWN)
                records.append({**found, "what": limit["what"]})
    for beside in references.beside(benchmark, inputs, device):
        metric, n, protocol = beside.metric, beside.n, protocol_of(benchmark, beside.metric, beside.references)
        found = record(metric, named(metric.id(n), protocol), beside.value, n, protocol, NOT_DRAWN)
        records.append({**found, "what": beside.what})
    out = paths.floor(benchmark.name)
    body = {"benchmark": benchmark.name, "method": RESERVED, "evaluation": benchmark.scoring.floor_key}
    io.write_json(out, {**body, "records": records})
    return Made([out], list(dict.fromkeys(inputs)), device=device)


def _halves(benchmark: Benchmark, extractor: str, device: str) -> tuple[tuple[Features, Features], str]:
    """The training split under an extractor in two halves, chosen by a named stream, and the file that holds it."""
    everything, statistics = reference_of(benchmark, extractor, device)
    order = seeds.stream("floor", benchmark.dataset).permutation(len(everything))
    half = len(order) // 2
    return (everything.take(order[:half]), everything.take(order[half:])), statistics
