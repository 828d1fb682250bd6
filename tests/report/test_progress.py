"""Curves that only improve: their scale, their smoothing, and where they reach a value."""

import numpy as np
import pytest

from reedbench.report.progress import Progress, common_targets, natural_scale

STEPS = [100, 200, 400, 800]


@pytest.mark.parametrize(
    ("direction", "values", "name"),
    [
        ("lower", [8.0, 0.5], "log"),
        ("lower", [8.0, -0.5], "linear"),  # an unbiased kernel distance may be negative
        ("lower", [8.0, 0.0], "linear"),
        ("higher", [0.1, 0.9], "logit"),
        ("higher", [0.0, 0.9], "linear"),
        ("higher", [0.5, 1.5], "linear"),
    ],
)
def test_the_scale_is_the_one_that_is_natural_for_all_values(direction, values, name):
    scale = natural_scale(direction, values)
    assert scale.name == name
    goods = scale.to(np.asarray(values))
    assert np.allclose(scale.back(goods), values, rtol=1e-12)
    best = np.argmin(values) if direction == "lower" else np.argmax(values)
    assert np.argmax(goods) == best  # higher is better on every scale


def test_a_curve_goes_through_its_measurements():
    run = Progress.of(STEPS, np.asarray([0.0, 1.0, 5.0, 6.0]))
    assert run.steps_at(np.asarray([0.0, 1.0, 5.0, 6.0])).tolist() == STEPS


def test_between_measurements_a_straight_line_in_the_log_of_the_step_stays_one():
    run = Progress.of(STEPS, np.asarray([0.0, 1.0, 2.0, 3.0]))
    assert run.steps_at(np.asarray([0.5, 2.25])) == pytest.approx([100 * 2**0.5, 100 * 2**2.25], rel=1e-9)


def test_the_curve_bends_as_the_monotone_cubic_of_scipy_does():
    from scipy.interpolate import PchipInterpolator
    from scipy.optimize import brentq

    goods = [0.0, 1.0, 5.0, 6.0]
    cubic = PchipInterpolator(np.log(STEPS), goods)
    for good in (0.3, 2.0, 4.9, 5.5):
        expected = np.exp(brentq(lambda x, good=good: cubic(x) - good, np.log(100), np.log(800)))
        assert Progress.of(STEPS, np.asarray(goods)).steps_at(np.asarray([good]))[0] == pytest.approx(
            expected, rel=1e-5
        )


def test_measurements_that_fall_back_are_one_point_between_them():
    run = Progress.of(STEPS, np.asarray([0.0, 3.0, 1.0, 4.0]))
    assert run.goods.tolist() == [0.0, 2.0, 4.0]
    assert run.steps == pytest.approx([100, (200 * 400) ** 0.5, 800])
    assert (run.first, run.last) == (100, 800)


def test_level_measurements_are_one_point_too():
    run = Progress.of(STEPS, np.asarray([0.0, 1.0, 1.0, 2.0]))
    assert run.goods.tolist() == [0.0, 1.0, 2.0]
    assert run.steps == pytest.approx([100, (200 * 400) ** 0.5, 800])


def test_a_curve_that_only_gets_worse_is_a_single_point():
    run = Progress.of(STEPS, np.asarray([4.0, 3.0, 2.0, 1.0]))
    assert (run.goods.tolist(), run.steps_at(np.asarray([2.5]))) == ([2.5], pytest.approx([100 * 2**1.5]))


def test_common_targets_are_the_measured_values_that_both_reach():
    one, other = (Progress.of(STEPS, np.asarray(goods)) for goods in ([0.0, 2.0, 4.0, 6.0], [1.0, 3.0, 4.0, 5.0]))
    assert common_targets(one, other).tolist() == common_targets(other, one).tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_curves_without_a_value_in_common_have_no_target():
    one, other = (Progress.of(STEPS, np.asarray(goods)) for goods in ([0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]))
    assert common_targets(one, other).size == 0
    assert other.starts_above(one.goods[-1])
    assert not one.reaches(other.goods[0])
