"""A mean never comes without saying what its bounds are."""

import math

import numpy as np
import pytest
from scipy import stats

from reedbench.report.intervals import interval, ratio_interval


@pytest.mark.parametrize("values", [[3.0, 4.0, 8.0], [1.0, -2.0, 0.5, 7.0, 3.25]], ids=["three", "five"])
def test_from_three_seeds_on_it_is_the_t_interval_of_scipy(values):
    over = interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert over.kind == "t95"
    assert (over.mean, over.low, over.high) == pytest.approx((np.mean(values), low, high), rel=1e-12)


def test_two_seeds_have_a_range():
    over = interval([5.0, 3.0])
    assert (over.mean, over.low, over.high, over.kind) == (4.0, 3.0, 5.0, "range")


def test_one_seed_has_no_bounds():
    over = interval([5.0])
    assert (over.mean, over.low, over.high, over.kind) == (5.0, None, None, "none")


def test_equal_values_have_an_interval_of_width_zero():
    over = interval([2.0, 2.0, 2.0])
    assert (over.mean, over.low, over.high, over.kind) == (2.0, 2.0, 2.0, "t95")


def test_ratios_are_averaged_on_the_logarithm():
    assert ratio_interval([0.5, 2.0]).mean == pytest.approx(1.0)
    over = ratio_interval([1.0, 2.0, 4.0])
    low, high = stats.t.interval(0.95, 2, loc=math.log(2), scale=stats.sem(np.log([1, 2, 4])))
    assert (over.mean, over.low, over.high) == pytest.approx((2.0, math.exp(low), math.exp(high)))
    assert ratio_interval([3.0]).low is None


def test_a_missing_value_leaves_neither_mean_nor_bounds():
    for values in ([math.nan], [1.0, math.nan], [1.0, 2.0, math.nan]):
        over = interval(values)
        assert math.isnan(over.mean)
        assert (over.low, over.high, over.kind) == (None, None, "none")
