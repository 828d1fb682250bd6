"""Claimed training speed-ups, computed from the points that papers print: never quoted.

Rule. A curve has the points of its method at rising cost (steps or epochs). The ratio is what the baseline's last point
had cost (or, at a target that is a number, the first of its points that is as good) over the cost of the first of the
method's points that is as good. That is how REPA and REED count (7M / 400K, 7M / 300K, 800 / 200, 250 / 70).

Bracket. A curve reaches the target somewhere between the last point before that is not as good and the first that is;
of the two ends follow the least and the greatest ratio that the points allow, one of them open where a curve begins
beyond the target. Within it lie two readings: straight lines between points in the logarithm of the cost, and the
curves of the suite's own speed-ups (report/progress.py); both on the metric's natural scale.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reedbench.report.paper.lines import DIGITISED, KINDS
from reedbench.report.paper.selection import chosen, wrong
from reedbench.report.progress import Array, Progress, natural_scale
from reedbench.schema.paper import Paper, Speedup, Where
from reedbench.schema.published import settled
from reedbench.schema.published_row import Published

Point = tuple[float, Published]  # cost, and the number that it buys


@dataclass(frozen=True)
class Curve:
    """A method's points at rising cost, and how good they must be.

    Attributes:
        points: one for each cost.
        target: in the metric's unit.
    """

    points: tuple[Point, ...]
    target: float

    @cached_property
    def first(self) -> int | None:
        """Place of the first point that is as good as the target."""
        lower = self.points[0][1].of.better == "lower"
        good = (
            i
            for i, (_, row) in enumerate(self.points)
            if (row.value <= self.target) == lower or row.value == self.target
        )
        return next(good, None)

    @property
    def at(self) -> Point:
        """That point."""
        assert self.first is not None
        return self.points[self.first]

    @property
    def before(self) -> Point | None:
        """The point before it; nothing where the curve begins beyond the target."""
        return self.points[self.first - 1] if self.first else None


@dataclass(frozen=True)
class Found:
    """A speed-up of a method over a baseline.

    Attributes:
        asked: what config/paper.yaml says of it.
        claim: the row in which its authors claim it.
        method: its curve.
        baseline: the baseline's.
        start: the point whose cost is divided.
        ratio: of costs.
        low: the least ratio that the points allow; nothing where they set no bound.
        high: the greatest.
        straight: with straight lines between points; nothing where a curve has no point before the target.
        smooth: with the curves of the suite's own speed-ups.
    """

    asked: Speedup
    claim: Published
    method: Curve
    baseline: Curve
    start: Point
    ratio: float
    low: float | None
    high: float | None
    straight: float | None
    smooth: float | None

    @property
    def target(self) -> float:
        """The value that both reach."""
        return self.method.target

    @property
    def end(self) -> Point:
        """The point by whose cost is divided."""
        return self.method.at

    @property
    def agrees(self) -> bool:
        """Whether the claim is this ratio, rounded."""
        return round(self.ratio, self.claim.decimals) == self.claim.value

    @property
    def rows(self) -> tuple[Published, ...]:
        """Every number that enters the ratio or its bracket."""
        points = (self.start, self.end, self.baseline.at, self.baseline.before, self.method.before)
        return tuple(dict.fromkeys(point[1] for point in points if point is not None))

    @property
    def digitised(self) -> tuple[Published, ...]:
        """Those of them that were read off a figure."""
        return tuple(row for row in self.rows if row.tag == DIGITISED)


def computed(everything: Sequence[Published], paper: Paper) -> dict[str, Found]:
    """All speed-ups of config/paper.yaml by name.

    Raises:
        ConfigError: a claim or a curve is not there, points contradict each other, or a curve never gets there.
    """
    return {name: _computed(everything, asked, f"speedups.{name}") for name, asked in paper.speedups.items()}


def _computed(everything: Sequence[Published], asked: Speedup, at: str) -> Found:
    theirs = _points(everything, asked, asked.baseline, asked.of_baseline, f"{at}.of_baseline")
    ours = _points(everything, asked, asked.method, asked.of_method, f"{at}.of_method")
    target = theirs[-1][1].value if isinstance(asked.target, str) else asked.target
    method, baseline = Curve(ours, target), Curve(theirs, target)
    for name, curve in ((asked.method, method), (asked.baseline, baseline)):
        if curve.first is None:
            raise wrong(f"{at}.target", f"no number of {name} is as good as {target:g}; take another")
    start = theirs[-1] if isinstance(asked.target, str) else baseline.at
    low = None if baseline.before is None else baseline.before[0] / method.at[0]
    high = None if method.before is None else baseline.at[0] / method.before[0]
    claim = _claim(everything, asked, at)
    ratio = start[0] / method.at[0]
    return Found(asked, claim, method, baseline, start, ratio, low, high, *_between(method, baseline))


def _claim(everything: Sequence[Published], asked: Speedup, at: str) -> Published:
    """The row in which the speed-up is claimed."""
    wanted = Where(method=(asked.method,), source=(asked.stated_by,), setting=(f"against={asked.baseline}",))
    rows = [row for row in chosen(everything, wanted, None, at) if row.metric == "speed-up" and row.kind == "claim"]
    if len(rows) != 1:
        words = f"{asked.stated_by} has {len(rows)} claims (metric speed-up) of {asked.method} against {asked.baseline}"
        raise wrong(f"{at}.stated_by", f"{words}; there must be one")
    return rows[0]


def _points(everything: Sequence[Published], asked: Speedup, method: str, more: Where, at: str) -> tuple[Point, ...]:
    """A method's numbers by cost: its authors' own before copies before others' runs, printed ones before digitised."""
    common = chosen(everything, asked.where, None, at.rpartition(".")[0])
    further = set(chosen(everything, more, None, at))
    rows = [row for row in settled(common) if row in further and (row.method, row.metric) == (method, asked.metric)]
    by_cost: dict[int, Published] = {}
    for row in sorted(rows, key=lambda row: (KINDS.index(row.kind), row.tag == DIGITISED)):
        if (cost := getattr(row, asked.axis)) is None:
            continue
        other = by_cost.setdefault(cost, row)
        if other.value != row.value and (other.kind, other.tag == DIGITISED) == (row.kind, row.tag == DIGITISED):
            words = f"{other.printed} ({other.at}) and {row.printed} ({row.at}) both are its {asked.metric} at {cost}"
            raise wrong(at, f"{words}; say which is meant")
    if not by_cost:
        raise wrong(at, f"no {asked.metric} of {method} has {asked.axis}")
    return tuple((float(cost), by_cost[cost]) for cost in sorted(by_cost))


def _between(method: Curve, baseline: Curve) -> tuple[float | None, float | None]:
    """The ratio by straight lines between points, and by smooth curves."""
    values = [row.value for curve in (method, baseline) for _, row in curve.points]
    percent = 100.0 if method.points[0][1].of.unit == "%" else 1.0
    scale = natural_scale(method.points[0][1].of.better, [value / percent for value in values])
    goods = scale.to(np.asarray([*values, method.target]) / percent)
    parts = np.split(goods[:-1], [len(method.points)])
    ends = [_crossing(curve, own, goods[-1]) for curve, own in zip((method, baseline), parts, strict=True)]
    (ours, ours_smooth), (theirs, theirs_smooth) = ends
    return _over(theirs, ours), _over(theirs_smooth, ours_smooth)


def _over(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one / other


def _crossing(curve: Curve, goods: Array, target: float) -> tuple[float | None, float | None]:
    """The cost at which a curve reaches the target, by a straight line and by a smooth curve."""
    assert curve.first is not None
    costs = [cost for cost, _ in curve.points]
    progress = Progress.of(costs, goods)
    smooth = None
    if progress.goods[0] <= target <= progress.goods[-1]:
        smooth = float(progress.steps_at(np.asarray([target]))[0])
    if goods[curve.first] == target:
        return costs[curve.first], smooth
    if curve.before is None:
        return None, smooth
    ends = slice(curve.first - 1, curve.first + 1)
    return float(np.exp(np.interp(target, goods[ends], np.log(costs[ends])))), smooth
