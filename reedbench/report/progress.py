"""How good a run was when: its measured values as a curve that only improves, and at which step it reached a value.

Values are taken on the metric's natural scale, so that equal distances mean alike: the logarithm where lower is better
and all are positive (distances, perplexities), the logit where higher is better and all lie between 0 and 1 (shares),
the value itself otherwise; with the sign that makes higher better. Noise is smoothed by isotonic regression (pool
adjacent violators; Barlow et al. 1972): measurements that fall back are pooled into one point, at the mean of their
values and of their log steps. Between points runs the monotone cubic of Fritsch and Carlson (1980) over the log of the
step, which bends where the curve bends: a straight line finds a twofold speed-up of curves of four evaluations too
small by 4 % (speed/null_experiment.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FINE = 1000  # points per interval at which the cubic is inverted: steps are right to about 1e-6 of themselves


@dataclass(frozen=True)
class Scale:
    """A metric's natural scale: `to` it (higher is better there) and `back` to the metric's own values."""

    name: str
    to: Callable[[Array], Array]
    back: Callable[[Array], Array]


def natural_scale(direction: str, values: Sequence[float]) -> Scale:
    """The scale on which these values of a metric are compared; `direction` is `lower` or `higher`."""
    x = np.asarray(values, np.float64)
    if direction == "lower":
        if (x > 0).all():
            return Scale("log", lambda v: -np.log(v), lambda g: np.exp(-g))
        return Scale("linear", lambda v: -v, lambda g: -g)
    if ((x > 0) & (x < 1)).all():
        return Scale("logit", lambda v: np.log(v / (1 - v)), lambda g: 1 / (1 + np.exp(-g)))
    return Scale("linear", lambda v: v, lambda g: g)


@dataclass(frozen=True)
class Progress:
    """A run's curve of one metric on its natural scale.

    `goods` (points,) rises strictly and is reached at `steps` (points,); `first` and `last` are the steps of the first
    and the last evaluation, which pooling leaves out of `steps`.
    """

    steps: Array
    goods: Array
    first: float
    last: float
    worst: float  # measured, before pooling
    best: float

    @classmethod
    def of(cls, steps: Sequence[float], goods: Array) -> "Progress":
        """From evaluations at rising steps, `goods` (steps,) on the natural scale."""
        from scipy.optimize import isotonic_regression

        at = np.asarray(steps, np.float64)
        fit = isotonic_regression(goods)
        logs = np.add.reduceat(np.log(at), fit.blocks[:-1]) / np.diff(fit.blocks)
        # Neighbours of equal value are one point too: a level curve has no first step at which it gets there.
        levels, block = np.unique(fit.x[fit.blocks[:-1]], return_inverse=True)
        centres = np.exp(np.bincount(block, logs) / np.bincount(block))
        return cls(centres.round(9), levels, float(at[0]), float(at[-1]), float(goods.min()), float(goods.max()))

    def reaches(self, good: float) -> bool:
        """Whether the curve gets there at all, be it before its first evaluation."""
        return bool(good <= self.goods[-1])

    def starts_above(self, good: float) -> bool:
        """Whether it was there before its first evaluation."""
        return bool(good < self.goods[0])

    def steps_at(self, goods: Array) -> Array:
        """The steps at which values between its first and its last point are reached."""
        found: Array = np.interp(goods, *self._fine)
        return found

    @cached_property
    def _fine(self) -> tuple[Array, Array]:
        """The curve at many points: values, and steps."""
        from scipy.interpolate import PchipInterpolator

        if len(self.steps) == 1:
            return self.goods, self.steps
        logs = np.log(self.steps)
        between = np.append((logs[:-1, None] + np.diff(logs)[:, None] * np.arange(FINE) / FINE).ravel(), logs[-1])
        goods, steps = np.maximum.accumulate(PchipInterpolator(logs, self.goods)(between)), np.exp(between)
        goods[::FINE], steps[::FINE] = self.goods, self.steps  # exactly at the points
        return goods, steps


def common_targets(one: Progress, other: Progress) -> Array:
    """Values that both curves reach within their evaluations, in order: every measured one of either.

    At each of them one curve at least was measured and not interpolated. None where the curves have no value in common.
    """
    both = np.union1d(one.goods, other.goods)
    low, high = max(one.goods[0], other.goods[0]), min(one.goods[-1], other.goods[-1])
    found: Array = both[(both >= low) & (both <= high)]
    return found
