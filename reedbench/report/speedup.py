"""Training speed-up: how many times less a method needs than the baseline to become equally good, on any axis of cost.

Method. Each seed is compared with the baseline's run of the same seed (same data, noise and times). Both curves are
smoothed and inverted (report/progress.py) at common targets: the values measured in either run, as far as both reach
them. Of each target we take the log of the ratio of costs, baseline's over method's; a seed's log ratio is their mean,
and the speed-up is the exponential of its mean over seeds, with a t interval on the logarithms (the range for two
seeds). Nothing in this prefers one of the two: exchange them and every ratio turns into its inverse, so a slower method
has a ratio below 1 and an equal one is at 1 (speed/null_experiment.py holds it to that). Horizontal comparison of
curves is their registration (Ramsay and Silverman 2005, chapter 7), here by one factor per seed; the claims of REPA
and REED compare at one target, the baseline's final value. That figure stands beside ours as `to_final`: its target is
what the baseline happens to end at, so it is no symmetric one.

A seed whose curves have no value in common is not dropped but censored: a method that at its first evaluation is better
than the baseline ever gets is faster by more than the ratio of those costs (`>`), and the other way round (`<`). With
censored seeds on one side the mean is a bound, and so is said; on both sides there is no number.

An evaluation that was not measured is one point less of a curve; a seed in which the last one of either run was not is
left out, and so is said.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from reedbench.report.costs import Costs
from reedbench.report.intervals import ratio_interval
from reedbench.report.progress import Array, Progress, Scale, common_targets, natural_scale
from reedbench.report.source import Source

NONE: Mapping[str, int] = MappingProxyType({})
# axis -> what there is less of, what more (where the ratio is below 1)
WORDS = {
    "steps": ("fewer steps", "more steps"),
    "samples": ("fewer samples", "more samples"),
    "device_seconds": ("less device time", "more device time"),
    "cpu_seconds": ("less CPU time", "more CPU time"),
    "flops": ("fewer FLOPs", "more FLOPs"),
}


@dataclass(frozen=True)
class Ratio:
    """A ratio of costs over seeds, above 1 where the method needs less.

    `kind` is `t95`, `range`, `none` (one seed), `bound` (some seeds censored: `low` or `high` is `value`, the other
    None) or `missing` (no value). `above` and `below` count the censored seeds, of `seeds`.
    """

    value: float | None
    low: float | None
    high: float | None
    kind: str
    seeds: int
    above: int = 0
    below: int = 0

    @property
    def censored(self) -> str:
        """`> in 1 of 3 seeds`, empty where every seed has a ratio."""
        parts = [f"{sign} in {n} of {self.seeds} seeds" for sign, n in ((">", self.above), ("<", self.below)) if n]
        return ", ".join(parts)

    @property
    def text(self) -> str:
        """`1.46x [1.05, 2.04]`, `> 2.31x`, or a dash."""
        if self.value is None:
            return "–"
        sign = "> " if self.above else "< " if self.below else ""
        bounds = self.kind in ("t95", "range") and self.low is not None and self.low != self.high
        return f"{sign}{self.value:.2f}x" + (f" [{self.low:.2f}, {self.high:.2f}]" if bounds else "")


@dataclass(frozen=True)
class Speedup:
    """One method under one sampler on one axis, against the baseline.

    `ratio` is over common targets, which lie between `start` and `end` (the metric's own values, mean over seeds);
    `to_final` is at the baseline's final value `target` (mean over seeds; NaN where it was not measured), which the
    method reaches at step `reached` (mean over the seeds that do); the baseline itself has none, since where it first
    was as good as at its end says nothing of a method. `reason` says what is missing, empty where nothing.
    """

    method: str
    sampler: str
    axis: str
    ratio: Ratio
    to_final: Ratio
    target: float
    start: float | None = None
    end: float | None = None
    reached: float | None = None
    reason: str = ""

    @property
    def sentence(self) -> str:
        """`1.46x fewer steps [1.05, 2.04]`; for a ratio below 1 `0.77x: more steps [0.70, 0.85]`."""
        if self.ratio.value is None:
            return f"no speed-up: {self.reason}"
        name, _, prepared = self.axis.partition("+")
        less, more = WORDS[name]
        shown, _, bounds = self.ratio.text.partition(" [")
        words = f"{shown} {less}" if self.ratio.value >= 1 else f"{shown}: {more}"
        words += " with preparation" if prepared else ""
        words += f" [{bounds}" if bounds else ""
        return words + (f" ({self.ratio.censored})" if self.ratio.censored else "")

    @property
    def final_sentence(self) -> str:
        """How the method stands to the baseline's final value: `1.24x [1.10, 1.40]`, `not reached in 1 of 2 seeds`."""
        if self.to_final.below:
            return f"not reached in {self.to_final.below} of {self.to_final.seeds} seeds"
        return self.to_final.text if self.to_final.value is not None else "not measured"


@dataclass(frozen=True)
class _Pair:
    """Two runs of one seed, the values at which they are compared, and the baseline's last value (on the scale)."""

    seed: int
    ours: Progress
    theirs: Progress
    common: Array
    final: float


def speedups(
    source: Source, family: str, baseline: str, methods: Sequence[str], lengths: Mapping[str, int] = NONE
) -> list[Speedup]:
    """Per sampler, method and axis the speed-up on a metric; `source` holds the baseline too.

    The baseline has a ratio of 1, and no `to_final`. `lengths` are last steps of methods with a length of their own.
    """
    records = source.metrics[(source.metrics["family"] == family) & (source.metrics["step"] >= 0)]
    pairs = source.pairs
    costs, found = Costs(source), list[Speedup]()
    without = {*source.elsewhere, *(name for name in (*methods, baseline) if costs.unknown(name))}
    for sampler, every in records.groupby("sampler", sort=False):
        own = every[~every["method"].isin(without)]
        common = own[~own["method"].isin(list(lengths))]
        last = int(common["step"].max()) if len(common) else 0
        theirs = _Runs.of(own[own["method"] == baseline], lengths.get(baseline, last))
        ends = [curve["value"].iloc[-1] for curve in theirs.measured.values()]
        target = float(np.mean(ends)) if ends else float("nan")
        for method in methods:
            ours = _Runs.of(own[own["method"] == method], lengths.get(method, last))
            both = [seed for seed in ours.measured if seed in theirs.measured]
            lost = _left_out(ours, theirs)
            if not both:
                why = _undrawn(pairs, method, baseline, str(sampler))
                why = why or _without_cost(source, costs, method, baseline) or lost
                why = why or "no seed in common with the baseline"
                none = Ratio(None, None, None, "missing", 0)
                found += [Speedup(method, str(sampler), axis, none, none, target, reason=why) for axis in costs.axes]
                continue
            scale = _scale([runs.measured[seed] for seed in both for runs in (ours, theirs)])
            met = [_pair(seed, ours.measured[seed], theirs.measured[seed], scale) for seed in both]
            gains = _over_axes(costs, (baseline, method, str(sampler)), met, scale, target)
            found += [replace(one, reason="; ".join(filter(None, (lost, one.reason)))) for one in gains]
    return found


def _undrawn(pairs: Collection[tuple[str, str]], method: str, baseline: str, sampler: str) -> str:
    """Why there can be no speed-up under a sampler that did not draw from both."""
    if (method, sampler) not in pairs:
        return f"not drawn by {sampler}"
    return "" if (baseline, sampler) in pairs else f"the baseline is not drawn by {sampler}"


def _without_cost(source: Source, costs: Costs, method: str, baseline: str) -> str:
    """Why there can be no speed-up, where one of the two, or what it learned from, was trained elsewhere."""
    for name, who in ((method, ""), (baseline, "the baseline ")):
        if costs.unknown(name):
            return f"{who}learns from imported weights: what their training took is not known"
        if name in source.elsewhere:
            return f"{who}{'is ' if who else ''}imported: what its training took is not known"
    return ""


@dataclass(frozen=True)
class _Runs:
    """Runs of a method by seed: evaluations that were `measured`, and why a seed whose last one was not is `lost`."""

    measured: dict[int, pd.DataFrame]
    lost: dict[int, str]

    @classmethod
    def of(cls, own: pd.DataFrame, last: int) -> "_Runs":
        there = own.dropna(subset="value").sort_values("step")
        measured = {int(str(k)): run for k, run in there.groupby("seed") if run["step"].iloc[-1] == last}
        ends = own[own["step"] == last].set_index("seed")
        lost = {
            int(k): str(ends.loc[k, "reason"]) if k in ends.index else f"no evaluation at step {last}"
            for k in own["seed"].unique()
            if k not in measured
        }
        return cls(measured, lost)


def _left_out(ours: _Runs, theirs: _Runs) -> str:
    """Seeds that both have and that cannot be compared, and why; empty where there is none."""
    reasons = {**ours.lost, **theirs.lost}
    both = {*ours.measured, *ours.lost} & {*theirs.measured, *theirs.lost}
    lost = sorted(both & set(reasons))
    if not lost:
        return ""
    seeds, why = " ".join(map(str, lost)), "; ".join(dict.fromkeys(reasons[seed] for seed in lost))
    return f"left out {len(lost)} of {len(both)} seeds ({seeds}), not measured at the last step: {why}"


def _scale(curves: Sequence[pd.DataFrame]) -> Scale:
    """One scale for all runs of the two methods."""
    values = np.concatenate([run["value"].to_numpy(np.float64) for run in curves])
    return natural_scale(str(curves[0]["direction"].iloc[0]), values.tolist())


def _pair(seed: int, ours: pd.DataFrame, theirs: pd.DataFrame, scale: Scale) -> _Pair:
    goods = [scale.to(run["value"].to_numpy(np.float64)) for run in (ours, theirs)]
    one, other = (Progress.of(run["step"].tolist(), good) for run, good in zip((ours, theirs), goods, strict=True))
    return _Pair(seed, one, other, common_targets(one, other), float(goods[1][-1]))


def _over_axes(
    costs: Costs, names: tuple[str, str, str], pairs: Sequence[_Pair], scale: Scale, target: float
) -> list[Speedup]:
    baseline, method, sampler = names
    ends = [scale.back(pair.common[[0, -1]]) for pair in pairs if len(pair.common)]
    start, end = np.mean(ends, axis=0).tolist() if ends else (None, None)
    at_common = [_at_common(pair) for pair in pairs]
    at_final = [] if method == baseline else [_at_final(pair) for pair in pairs]
    reached = [float(meet.ours[0]) for meet in at_final if meet.side != "<"]
    at = float(np.mean(reached)) if reached else None

    def over(axis: str, meets: Sequence[_Meet]) -> Ratio:
        if not meets:
            return Ratio(None, None, None, "missing", len(pairs))
        every = zip(pairs, meets, strict=True)
        return _over_seeds([_mean_log(costs, baseline, method, axis, pair.seed, meet) for pair, meet in every], meets)

    found = []
    for axis in costs.axes:
        if unknown := _not_known(costs, axis, method, baseline):
            ratio = final = Ratio(None, None, None, "missing", len(pairs))
            words = unknown
        else:
            ratio, final = over(axis, at_common), over(axis, at_final)
            words = "; ".join(_censored(ratio, final))
        found.append(Speedup(method, sampler, axis, ratio, final, target, start, end, at, words))
    return found


def _not_known(costs: Costs, axis: str, method: str, baseline: str) -> str:
    """Why there is no ratio on an axis where what one of the two needs once has no known cost."""
    lacking = [who for name, who in ((method, "it"), (baseline, "the baseline")) if costs.lacks(axis, name)]
    return f"what was prepared once for {lacking[0]} took is not known ({axis.partition('+')[0]})" if lacking else ""


@dataclass(frozen=True)
class _Meet:
    """Steps of the two runs that are compared; `side` is `=`, or `>` or `<` where they only bound the ratio."""

    theirs: Array
    ours: Array
    side: str


def _at_common(pair: _Pair) -> _Meet:
    """At the common targets; where there is none, the outermost evaluations bound the ratio."""
    if len(pair.common):
        return _Meet(pair.theirs.steps_at(pair.common), pair.ours.steps_at(pair.common), "=")
    if pair.ours.worst > pair.theirs.best:
        return _Meet(np.asarray([pair.theirs.last]), np.asarray([pair.ours.first]), ">")
    if pair.theirs.worst > pair.ours.best:
        return _Meet(np.asarray([pair.theirs.first]), np.asarray([pair.ours.last]), "<")
    return _Meet(np.asarray([pair.theirs.last]), np.asarray([pair.ours.last]), "?")


def _at_final(pair: _Pair) -> _Meet:
    """At the baseline's final value, against all that the baseline had cost."""
    end = np.asarray([pair.theirs.last])
    if not pair.ours.reaches(pair.final):
        return _Meet(end, np.asarray([pair.ours.last]), "<")
    if pair.ours.starts_above(pair.final):
        return _Meet(end, np.asarray([pair.ours.first]), ">")
    return _Meet(end, pair.ours.steps_at(np.asarray([pair.final])), "=")


def _mean_log(costs: Costs, baseline: str, method: str, axis: str, seed: int, meet: _Meet) -> float:
    """Mean log of the ratio of costs."""
    theirs = costs.on(axis, baseline, seed, meet.theirs)
    ours = costs.on(axis, method, seed, meet.ours)
    return float(np.mean(np.log(theirs) - np.log(ours)))


def _over_seeds(logs: Sequence[float], meets: Sequence[_Meet]) -> Ratio:
    """Mean and interval on the logarithm; a bound where some seeds are censored to one side."""
    above, below = (sum(meet.side == sign for meet in meets) for sign in "><")
    if (above and below) or any(meet.side == "?" for meet in meets):
        return Ratio(None, None, None, "missing", len(logs), above, below)
    over = ratio_interval(np.exp(logs).tolist())
    if above or below:
        low, high = (over.mean, None) if above else (None, over.mean)
        return Ratio(over.mean, low, high, "bound", len(logs), above, below)
    return Ratio(over.mean, over.low, over.high, over.kind, len(logs))


def _censored(ratio: Ratio, final: Ratio) -> Iterable[str]:
    """What readers must know of censored seeds."""
    if ratio.value is None and not (ratio.above and ratio.below):
        yield "in some seeds the measured values overlap, and the smoothed curves have none in common"
    if ratio.above:
        yield f"better at its first evaluation than the baseline ever gets in {ratio.above} of {ratio.seeds} seeds"
    if ratio.below:
        yield f"never as good as the baseline at its first evaluation in {ratio.below} of {ratio.seeds} seeds"
    if final.below:
        yield f"never reaches the baseline's final value in {final.below} of {final.seeds} seeds"
    if final.above:
        yield f"beyond the baseline's final value at its first evaluation in {final.above} of {final.seeds} seeds"


def as_rows(found: Iterable[Speedup]) -> list[dict[str, object]]:
    """For a figure's CSV: one flat row per method, sampler and axis; `final_` for the figures at the final value."""
    rows = []
    for one in found:
        plain = {k: v for k, v in asdict(one).items() if k not in ("ratio", "to_final")}
        ratio = {("interval" if k == "kind" else k): v for k, v in asdict(one.ratio).items()}
        final = {f"final_{'interval' if k == 'kind' else k}": v for k, v in asdict(one.to_final).items()}
        rows.append({**plain, **ratio, **final, "sentence": one.sentence})
    return rows
