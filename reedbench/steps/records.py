"""A record of what was measured: a metric id, a value, its spread, and the protocol that it was measured under.

The spread is over clusters of homologous chains where the metric knows them, else over disjoint sampling streams. Of a
metric that knows a number of each sample the record has `values`: `quantiles`, from the smallest to the largest at
equal steps, of the `n` samples that have one, `of` so many.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reedbench.core import io
from reedbench.core.errors import NoValue
from reedbench.metrics import AbstractMetric, FeatureMetric, Features
from reedbench.schema.runs import Benchmark
from reedbench.steps.evidence import CellEvidence

MIN_STREAMS = 3
QUANTILES = 101  # of the values of samples, in a record
FIGURES = 6  # significant ones of a quantile
DIGITS = 8  # of a digest in an id


def of_cell(benchmark: Benchmark, evidence: CellEvidence) -> list[dict[str, Any]]:
    """One record per metric; what cannot be measured here has a reason in place of a value."""
    spec, streams, n, records = benchmark.spec, benchmark.spec.sampling.streams, len(evidence), []
    size = n // streams
    # Made once: metrics share computations by identity.
    parts = [evidence.part(slice(i * size, (i + 1) * size)) for i in range(streams)]
    for metric in spec.metrics:
        if missing := [reason for folder in metric.folders() if (reason := spec.folders[folder].missing())]:
            records.append(_lost(metric, metric.id(n, benchmark.repeats), n, metric.plain(), missing[0]))
            continue
        references = {name: evidence.features(name)[1] for name in metric.extractors()}
        protocol = protocol_of(benchmark, metric, references)
        name = named(metric.id(n, benchmark.repeats), protocol)
        try:
            value, values = metric.measured(evidence), metric.values(evidence)
        except NoValue as reason:
            records.append(_lost(metric, name, metric.counted(n), protocol, str(reason)))
            continue
        spread = metric.spread(evidence) or _over_streams(metric, parts)
        records.append(record(metric, name, value, metric.counted(n), protocol, spread, values))
    return records


def _lost(metric: AbstractMetric, name: str, n: int, protocol: dict[str, Any], reason: str) -> dict[str, Any]:
    """Of what has no value here."""
    return {**record(metric, name, None, n, protocol, {"kind": "none", "reason": reason}), "reason": reason}


def record(
    metric: AbstractMetric,
    name: str,
    value: float | None,
    n: int,
    protocol: dict[str, Any],
    spread: dict[str, Any],
    values: np.ndarray | None = None,
) -> dict[str, Any]:
    """One, as it is written; `values` as `AbstractMetric.values` gives them."""
    return {
        **({} if values is None else {"values": _distribution(values)}),
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


def _distribution(values: np.ndarray) -> dict[str, Any]:
    there = values[~np.isnan(values)]
    quantiles = [float(f"{x:.{FIGURES}g}") for x in np.quantile(there, np.linspace(0, 1, QUANTILES))]
    return {"quantiles": quantiles, "n": len(there), "of": len(values)}


def protocol_of(benchmark: Benchmark, metric: AbstractMetric, references: Mapping[str, Features]) -> dict[str, Any]:
    """What a number was measured under; `references` by extractor."""
    protocol, published = metric.protocol(), []
    compared = references if metric.compares else {}
    for name, whole in compared.items():
        reference = metric.chosen(whole) if isinstance(metric, FeatureMetric) else whole
        of_moments = metric.of_moments and reference.views.get(metric.view, reference).moments is not None
        if isinstance(metric, FeatureMetric) and not of_moments:
            protocol["n_reference"] = metric.compared_with(len(reference))
        if reference.file:
            file = {"extractor": name, "name": benchmark.spec.extractors[name].reference, "sha256": reference.file}
            published.append({**file, "of": "moments" if of_moments else "rows"})
    if isinstance(metric, FeatureMetric) and references:
        protocol["extractor_settings"] = benchmark.encoder_key(metric.extractor)
    elif names := list(dict.fromkeys((*references, *metric.witnesses()))):
        protocol["extractor_settings"] = {name: benchmark.encoder_key(name) for name in names}
    for name in metric.folders():
        protocol["folder_settings"] = benchmark.scoring.folder(name)
    return {**protocol, **({"published": published} if published else {})}


def named(name: str, protocol: Mapping[str, Any]) -> str:
    """A metric's id, with the digest of the published references that the number is to, if it is to any."""
    files = [file["sha256"] for file in protocol.get("published", ())]
    if not files:
        return name
    return f"{name}-f{(files[0] if len(files) == 1 else io.digest_of(files))[:DIGITS]}"


def _over_streams(metric: AbstractMetric, parts: list[CellEvidence]) -> dict[str, Any]:
    """Standard deviation over disjoint sampling streams, at the streams' own (smaller) number of samples."""
    if len(parts) < MIN_STREAMS:
        return {"kind": "none", "reason": f"{len(parts)} sampling stream(s); a spread needs {MIN_STREAMS}"}
    size, least = len(parts[0]), metric.least_n()
    if size < least:
        return {"kind": "none", "reason": f"{size} samples per stream; {metric.family} needs {least}"}
    try:
        values = [metric.measured(part) for part in parts]
    except NoValue as reason:
        return {"kind": "none", "reason": f"of one of {len(parts)} sampling streams: {reason}"}
    spread = float(np.std(values, ddof=1))
    return {"kind": "std-of-streams", "std": spread, "streams": len(parts), "n": size, "values": values}
