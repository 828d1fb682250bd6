"""Training speed-up: how much earlier a method reaches the baseline's final value, on every axis of cost.

Each seed is compared with the baseline's run of the same seed (same data, noise and times). The step at which a curve
first reaches the target is interpolated between two evaluations, in log(value) where lower is better and values are
positive, linearly otherwise; costs are interpolated at that step. Definition after the claims of REPA and REED, which
count steps only.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reedbench.report.intervals import ratio_interval
from reedbench.report.source import Source

AXES = {"steps": "step", "samples": "samples_seen", "device_seconds": "device_seconds", "flops": "flops"}
ONE_OFF = {"device_seconds": "oneoff_device_seconds", "flops": "oneoff_flops"}  # axes to which preparation is added

Finals = Mapping[int, pd.Series]  # the baseline's last record, by seed


@dataclass(frozen=True)
class Reach:
    """Where a curve first reaches a target: `step` (interpolated), between which evaluations, or why not."""

    step: float | None
    bracket: tuple[float, float] | None
    reason: str = ""


def first_reach(steps: Sequence[float], values: Sequence[float], target: float, lower_is_better: bool) -> Reach:
    """The step at which `values` first is as good as `target`."""
    sign = 1.0 if lower_is_better else -1.0
    good = [sign * value <= sign * target for value in values]
    if not any(good):
        best = min(values, key=lambda value: sign * value)
        return Reach(None, None, f"never reaches {target:.4g} (best {best:.4g})")
    i = good.index(True)
    if i == 0:
        return Reach(steps[0], (0.0, steps[0]), "reached before the first evaluation: at least this much")
    scale = math.log if lower_is_better and min(target, *values[i - 1 : i + 1]) > 0 else float
    before, after, wanted = scale(values[i - 1]), scale(values[i]), scale(target)
    share = 1.0 if before == after else (before - wanted) / (before - after)
    return Reach(steps[i - 1] + share * (steps[i] - steps[i - 1]), (steps[i - 1], steps[i]))


def speedups(source: Source, family: str, baseline: str, methods: Sequence[str]) -> pd.DataFrame:
    """One row per method, sampler and axis; `source` holds the baseline too.

    Columns: method, sampler, axis, value, low, high, interval, target (mean over seeds), reached (mean step), bracket,
    reason. `<axis>+oneoff` adds what must be prepared once (captions, pretrained encoders, representations). The
    baseline is treated like the others: if its curve reaches its final value early, its own speed-up exceeds 1. Where
    the metric was not measured there is a reason, and no target if that holds for the baseline's last step.
    """
    records = source.metrics[(source.metrics["family"] == family) & (source.metrics["step"] >= 0)]
    rows: list[dict[str, object]] = []
    for sampler, own in records.groupby("sampler", sort=False):
        finals = _finals(own[own["method"] == baseline])
        for method in methods:
            reaches = _reaches(own[own["method"] == method], finals)
            head = {"method": method, "sampler": sampler, "target": _mean(last["value"] for last in finals.values())}
            rows += [{**head, **row} for row in _ratios(source, baseline, method, finals, reaches)]
    return pd.DataFrame(rows)


def _finals(own: pd.DataFrame) -> Finals:
    """The baseline's record at its last step, per seed."""
    last = own.sort_values("step").drop_duplicates("seed", keep="last")
    return {int(record["seed"]): record for _, record in last.iterrows()}


def _reaches(own: pd.DataFrame, finals: Finals) -> dict[int, Reach]:
    """Where each seed's curve reaches the baseline's final value of the same seed."""
    curves = {int(str(seed)): curve for seed, curve in own.sort_values("step").groupby("seed")}
    return {seed: _reach(curve, finals[seed]) for seed, curve in curves.items() if seed in finals}


def _reach(curve: pd.DataFrame, final: pd.Series) -> Reach:
    """Where a curve reaches a final value; nowhere if one of these was not measured."""
    needed = [*(record for _, record in curve.iterrows()), final]
    if missing := [record["reason"] for record in needed if pd.isna(record["value"])]:
        return Reach(None, None, f"the metric was not measured: {missing[0]}")
    lower = bool((curve["direction"] == "lower").all())
    return first_reach(list(curve["step"]), list(curve["value"]), float(final["value"]), lower)


def _ratios(
    source: Source, baseline: str, method: str, finals: Finals, reaches: Mapping[int, Reach]
) -> list[dict[str, object]]:
    """One row per axis; no value unless every seed reaches the target."""
    reason = "; ".join(sorted({reach.reason for reach in reaches.values() if reach.reason}))
    reached = {seed: reach.step for seed, reach in reaches.items() if reach.step is not None}
    if not reaches or len(reached) < len(reaches):
        missing = f"{len(reaches) - len(reached)} of {len(reaches)} seeds: {reason}"
        reason = missing if reaches else "no seed in common with the baseline"
        empty = {"value": None, "low": None, "high": None, "interval": "none", "reason": reason}
        return [{"axis": axis, **empty} for axis in _axes()]
    brackets = [f"{reach.bracket[0]:g}-{reach.bracket[1]:g}" for reach in reaches.values() if reach.bracket]
    head = {"reached": _mean(reached.values()), "bracket": " ".join(brackets), "reason": reason}
    rows: list[dict[str, object]] = []
    for axis in _axes():
        costs = [
            (_cost(source, baseline, seed, axis, finals[seed]["step"]), _cost(source, method, seed, axis, step))
            for seed, step in reached.items()
        ]
        over = ratio_interval([ours / theirs for ours, theirs in costs])
        rows.append(
            {**head, "axis": axis, "value": over.mean, "low": over.low, "high": over.high, "interval": over.kind}
        )
    return rows


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _axes() -> list[str]:
    return [*AXES, *(f"{axis}+oneoff" for axis in ONE_OFF)]


def cost_at(source: Source, method: str, seed: int, column: str, step: float) -> float:
    """A cost of a run (a column of its curve) at a step, interpolated between two rows of the curve."""
    curve = _curve(source, method, seed)
    steps = np.concatenate([[0.0], curve["step"].to_numpy(np.float64)])
    costs = np.concatenate([[0.0], curve[column].to_numpy(np.float64)])
    return float(np.interp(step, steps, costs))


def _cost(source: Source, method: str, seed: int, axis: str, step: float) -> float:
    name, _, with_oneoff = axis.partition("+")
    once = float(_curve(source, method, seed)[ONE_OFF[name]].iloc[0]) if with_oneoff else 0.0
    return cost_at(source, method, seed, AXES[name], step) + once


def _curve(source: Source, method: str, seed: int) -> pd.DataFrame:
    own = (source.curves["method"] == method) & (source.curves["seed"] == seed)
    return source.curves[own].sort_values("step")
