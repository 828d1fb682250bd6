"""Mean and interval over seeds: a t interval for three or more, the range for two, nothing for one.

A range is never called a confidence interval, and one run never gets one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its bounds; `kind` is `t95`, `range` or `none`. The mean is NaN where it was not measured."""

    mean: float
    low: float | None
    high: float | None
    kind: str

    @property
    def band(self) -> tuple[float, float]:
        """What figures shade: the bounds, or the mean alone."""
        return (self.mean, self.mean) if self.low is None or self.high is None else (self.low, self.high)


def kind_of(seeds: int) -> str:
    """What the interval over so many seeds is."""
    return {1: "none", 2: "range"}.get(seeds, "t95")


def interval(values: Sequence[float]) -> Interval:
    """Over seeds, in float64; nothing where a value is missing."""
    x = np.asarray(values, np.float64)
    mean, kind = float(x.mean()), kind_of(len(x))
    if kind == "none" or math.isnan(mean):
        return Interval(mean, None, None, "none")
    if kind == "range":
        return Interval(mean, float(x.min()), float(x.max()), kind)
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes a second to import

    half = float(stdtrit(len(x) - 1, (1 + CONFIDENCE) / 2) * x.std(ddof=1) / math.sqrt(len(x)))
    return Interval(mean, mean - half, mean + half, kind)


def ratio_interval(ratios: Sequence[float]) -> Interval:
    """For positive ratios: geometric mean, with bounds taken on the logarithm."""
    logs = interval(np.log(np.asarray(ratios, np.float64)).tolist())
    low, high = (None if bound is None else math.exp(bound) for bound in (logs.low, logs.high))
    return Interval(math.exp(logs.mean), low, high, logs.kind)


def plain(over: Interval, *, signed: bool = False) -> str:
    """`3.48 [3.19, 3.77]`, with digits that suit the size; a dash for what was not measured.

    A `signed` value is a difference: it bears its sign, and its digits suit the larger of its bounds.
    """
    if math.isnan(over.mean):
        return "–"
    size = max(abs(bound) for bound in (over.mean, *over.band)) if signed else abs(over.mean)
    digits = 2 if size >= 1 else 3 if size >= 0.0995 else 4
    form = f"{'+' if signed else ''}.{digits}f"
    if over.low is None or over.high is None or over.low == over.high:
        return f"{over.mean:{form}}"
    return f"{over.mean:{form}} [{over.low:{form}}, {over.high:{form}}]"
