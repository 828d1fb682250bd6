"""The speed-up of hand-made curves, on every axis."""

import math

import pytest

from reedbench.report.speedup import first_reach, speedups

STEPS = [100, 200, 300, 400]


def of(gains, method: str, axis: str):
    (row,) = gains[(gains["method"] == method) & (gains["axis"] == axis)].to_dict("records")
    return row


def test_between_two_evaluations_the_crossing_is_log_linear():
    """log 20 lies 1 - 1/3 of the way from log 80 to log 10."""
    reach = first_reach(STEPS, [160.0, 80.0, 10.0, 5.0], 20.0, lower_is_better=True)
    assert reach.step == pytest.approx(200 + 100 * 2 / 3)
    assert (reach.bracket, reach.reason) == ((200, 300), "")


def test_where_a_value_is_not_positive_the_crossing_is_linear():
    reach = first_reach(STEPS, [3.0, 1.0, -1.0, -2.0], 0.5, lower_is_better=True)
    assert reach.step == pytest.approx(225)


def test_a_target_that_an_evaluation_meets_exactly_is_reached_there():
    assert first_reach(STEPS, [4.0, 3.0, 2.0, 1.0], 2.0, lower_is_better=True).step == 300


def test_higher_may_be_better():
    reach = first_reach(STEPS, [0.1, 0.2, 0.8, 0.9], 0.4, lower_is_better=False)
    assert reach.step == pytest.approx(STEPS[1] + (STEPS[2] - STEPS[1]) / 3)  # a share is no distance: a straight line
    assert first_reach(STEPS, [0.1, 0.2, 0.3, 0.2], 0.4, lower_is_better=False).reason == "never reaches 0.4 (best 0.3)"


def test_a_target_never_reached_has_a_reason_and_no_step():
    reach = first_reach(STEPS, [9.0, 8.0, 6.5, 7.0], 5.0, lower_is_better=True)
    assert (reach.step, reach.bracket, reach.reason) == (None, None, "never reaches 5 (best 6.5)")


def test_reached_before_the_first_evaluation_is_a_bound_and_says_so():
    reach = first_reach(STEPS, [4.0, 3.0, 2.0, 1.0], 5.0, lower_is_better=True)
    assert (reach.step, reach.bracket) == (100, (0.0, 100))
    assert reach.reason == "reached before the first evaluation: at least this much"


def test_a_curve_that_turns_back_counts_its_first_crossing():
    reach = first_reach(STEPS, [40.0, 10.0, 40.0, 5.0], 20.0, lower_is_better=True)
    assert reach.step == pytest.approx(150)
    assert reach.bracket == (100, 200)


def test_steps_seconds_and_operations_each_have_their_own_ratio(make_source):
    """REPA meets SiT's final 10 at step 200 of 400, at twice the cost per step, after 200 s of preparation."""
    source = make_source(
        {("sit", 0): [40.0, 30.0, 20.0, 10.0], ("repa", 0): [20.0, 10.0, 8.0, 7.0]},
        oneoff={"repa": 200.0}, slower={"repa": 2.0},
    )  # fmt: skip
    gains = speedups(source, "fd@x", "sit", ["sit", "repa"])
    assert {axis: of(gains, "repa", axis)["value"] for axis in gains["axis"].unique()} == pytest.approx(
        {
            "steps": 2.0,
            "samples": 2.0,
            "device_seconds": 800 / 800,
            "flops": 1.0,
            "device_seconds+oneoff": 800 / 1000,
            "flops+oneoff": 4e8 / (4e8 + 2e8),
        }
    )
    row = of(gains, "repa", "steps")
    assert (row["target"], row["reached"], row["bracket"], row["interval"]) == (10.0, 200.0, "100-200", "none")
    assert of(gains, "sit", "steps")["value"] == 1.0


def test_what_the_baseline_needs_prepared_counts_too(make_source):
    source = make_source(
        {("repa", 0): [40.0, 30.0, 20.0, 10.0], ("reed", 0): [20.0, 10.0, 8.0, 7.0]},
        oneoff={"repa": 100.0, "reed": 300.0},
    )  # fmt: skip
    gains = speedups(source, "fd@x", "repa", ["reed"])
    assert of(gains, "reed", "device_seconds")["value"] == pytest.approx(800 / 400)
    assert of(gains, "reed", "device_seconds+oneoff")["value"] == pytest.approx(900 / 700)


def test_costs_are_interpolated_at_the_crossing(make_source):
    """Crossing at 150: between the rows of the curve at 100 and 200."""
    source = make_source({("sit", 0): [40.0, 30.0, 25.0, 20.0], ("repa", 0): [40.0, 10.0, 8.0, 7.0]}, log_every=100)
    gains = speedups(source, "fd@x", "sit", ["repa"])
    assert of(gains, "repa", "samples")["value"] == pytest.approx(400 / 150)
    assert of(gains, "repa", "device_seconds")["value"] == pytest.approx(400 / 150)


def test_each_seed_is_compared_with_the_baseline_of_its_own_seed(make_source):
    """Seed 0 needs 200 steps to 10, seed 1 needs 100 to 40: ratios 2 and 4, geometric mean sqrt(8)."""
    source = make_source(
        {
            ("sit", 0): [40.0, 30.0, 20.0, 10.0], ("sit", 1): [80.0, 70.0, 60.0, 40.0],
            ("repa", 0): [20.0, 10.0, 8.0, 7.0], ("repa", 1): [40.0, 30.0, 20.0, 15.0],
        }
    )  # fmt: skip
    row = of(speedups(source, "fd@x", "sit", ["repa"]), "repa", "steps")
    assert (row["value"], row["low"], row["high"], row["interval"]) == pytest.approx((math.sqrt(8), 2.0, 4.0, "range"))
    assert row["target"] == 25.0


def test_one_seed_that_never_arrives_leaves_no_number_but_a_reason(make_source):
    source = make_source(
        {
            ("sit", 0): [40.0, 30.0, 20.0, 10.0], ("sit", 1): [40.0, 30.0, 20.0, 10.0],
            ("repa", 0): [20.0, 10.0, 8.0, 7.0], ("repa", 1): [40.0, 30.0, 20.0, 15.0],
        }
    )  # fmt: skip
    gains = speedups(source, "fd@x", "sit", ["repa"])
    assert gains["value"].isna().all()
    assert set(gains["reason"]) == {"1 of 2 seeds: never reaches 10 (best 15)"}


def test_without_a_common_seed_there_is_a_reason(make_source):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 1): [4.0, 3.0, 2.0, 1.0]})
    row = of(speedups(source, "fd@x", "sit", ["repa"]), "repa", "steps")
    assert (row["value"], row["reason"]) == (None, "no seed in common with the baseline")


def test_a_bound_keeps_its_reason_beside_its_value(make_source):
    source = make_source({("sit", 0): [40.0, 30.0, 20.0, 10.0], ("repa", 0): [9.0, 8.0, 7.0, 6.0]})
    row = of(speedups(source, "fd@x", "sit", ["repa"]), "repa", "steps")
    assert (row["value"], row["bracket"]) == (4.0, "0-100")
    assert row["reason"].startswith("reached before the first evaluation")


def test_a_metric_where_higher_is_better_gives_the_same_speed_up(make_source):
    source = make_source({("sit", 0): [1.0, 2.0, 4.0, 8.0], ("repa", 0): [2.0, 8.0, 9.0, 9.0]}, direction="higher")
    assert of(speedups(source, "fd@x", "sit", ["repa"]), "repa", "steps")["value"] == 2.0


@pytest.mark.parametrize("where", [{"method": "sit", "step": 400}, {"method": "repa", "step": 100}])
def test_a_value_that_was_not_measured_gives_its_reason_and_no_number(make_source, lose, where):
    whole = make_source({("sit", 0): [40.0, 30.0, 20.0, 10.0], ("repa", 0): [20.0, 10.0, 8.0, 7.0]})
    row = of(speedups(lose(whole, "no folder", **where), "fd@x", "sit", ["repa"]), "repa", "steps")
    assert row["value"] is None
    assert row["reason"] == "1 of 1 seeds: the metric was not measured: no folder"


def test_the_target_is_the_last_step_even_where_that_was_not_measured(make_source, lose):
    whole = make_source({("sit", 0): [40.0, 30.0, 20.0, 10.0], ("repa", 0): [20.0, 10.0, 8.0, 7.0]})
    gains = speedups(lose(whole, "no folder", method="sit", step=400), "fd@x", "sit", ["repa"])
    assert gains["target"].isna().all()
    gains = speedups(lose(whole, "no folder", method="sit", step=300), "fd@x", "sit", ["repa"])
    assert set(gains["target"]) == {10.0}
    assert of(gains, "repa", "steps")["value"] == 2.0
