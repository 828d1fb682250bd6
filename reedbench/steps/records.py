"""A record of what was measured: a metric id, a value, its spread, and the protocol that it was measured under.

The spread is over clusters of homologous chains where the metric knows them, else over disjoint sampling streams.
"""

from typing import Any

import numpy as np

from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.schema.runs import Benchmark
from reedbench.steps.evidence import CellEvidence

MIN_STREAMS = 3


def of_cell(benchmark: Benchmark, evidence: CellEvidence) -> list[dict[str, Any]]:
    """One record per metric; what cannot be measured here has a reason in place of a value."""
    spec, streams, n, records = benchmark.spec, benchmark.spec.sampling.streams, len(evidence), []
    size = n // streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(streams)]
    for metric in spec.metrics:
        name = metric.id(n, benchmark.repeats)
        if missing := [reason for folder in metric.folders() if (reason := spec.folders[folder].missing())]:
            none = {"kind": "none", "reason": missing[0]}
            records.append({**record(metric, name, None, n, metric.plain(), none), "reason": missing[0]})
            continue
        reference = evidence.features(metric.extractor)[1] if isinstance(metric, FeatureMetric) else None
        protocol = protocol_of(benchmark, metric, reference)
        value, spread = metric.measured(evidence), metric.spread(evidence) or _over_streams(metric, parts)
        records.append(record(metric, name, value, metric.counted(n), protocol, spread))
    return records


def record(
    metric: AbstractMetric, name: str, value: float | None, n: int, protocol: dict[str, Any], spread: dict[str, Any]
) -> dict[str, Any]:
    """One, as it is written."""
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


def protocol_of(benchmark: Benchmark, metric: AbstractMetric, reference: Features | None) -> dict[str, Any]:
    """What a number was measured under."""
    protocol = metric.protocol()
    if reference is not None:
        key = benchmark.encoder_key(metric.extractors()[0])
        protocol |= {"n_reference": metric.compared_with(len(reference)), "extractor_settings": key}
    for name in metric.folders():
        protocol["folder_settings"] = benchmark.folder_identity(name)
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
