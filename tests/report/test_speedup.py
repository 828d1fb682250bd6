"""The speed-up of hand-made curves, on every axis: symmetric around 1, censored and not dropped."""

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.report.source import Source
from reedbench.report.speedup import Ratio, Speedup, as_rows, speedups


def of(gains: list[Speedup], method: str, axis: str = "steps") -> Speedup:
    (found,) = [one for one in gains if (one.method, one.axis) == (method, axis)]
    return found


def straight(factor: float, start: float = 100.0) -> list[float]:
    """Values at steps 100 to 400 of a curve that falls as 1 / step: at equal value the steps have one ratio."""
    return [start / (factor * step) for step in (1, 2, 3, 4)]


def taken(source: Source, where: dict[str, Any]) -> Source:
    """Without the records of a cell."""
    cell = (source.metrics[list(where)] == pd.Series(where)).all(axis=1)
    assert cell.any()
    return dataclasses.replace(source, metrics=source.metrics[~cell])


@pytest.mark.parametrize("factor", [0.5, 0.77, 1.0, 1.3, 2.0])
def test_one_factor_between_two_curves_is_the_speed_up_below_1_as_above(make_source, factor):
    source = make_source({("sit", 0): straight(1.0), ("repa", 0): straight(factor)})
    assert of(speedups(source, "fd@x", "sit", ["repa"]), "repa").ratio.value == pytest.approx(factor, rel=1e-6)


def test_exchanging_the_two_turns_every_ratio_into_its_inverse(make_source):
    rng = np.random.default_rng(1)
    values = {(m, k): np.exp(2.0 - np.arange(4) + 0.3 * rng.standard_normal(4)) for m in ("a", "b") for k in range(3)}
    source = make_source(values, oneoff={"a": 10.0, "b": 300.0}, slower={"b": 1.7})
    one, other = (speedups(source, "fd@x", *names) for names in (("a", ["b"]), ("b", ["a"])))
    assert {one.axis for one in one} == {ours.axis for ours in other}
    for ours, theirs in zip(one, other, strict=True):
        values = (ours.ratio.value, ours.ratio.low, ours.ratio.high)
        inverse = [1 / theirs.ratio.value, 1 / theirs.ratio.high, 1 / theirs.ratio.low]
        assert values == pytest.approx(inverse, rel=1e-12)


def test_a_method_is_exactly_as_fast_as_its_copy(make_source):
    values = {(m, k): [40.0 + k, 20.0, 21.0 - k, 10.0 + k] for m in ("sit", "copy") for k in range(3)}
    ratio = of(speedups(make_source(values), "fd@x", "sit", ["copy"]), "copy").ratio
    assert (ratio.value, ratio.low, ratio.high, ratio.kind) == (1.0, 1.0, 1.0, "t95")


def test_a_seeds_ratio_is_the_mean_of_its_logarithm_over_the_values_measured_in_either_run(make_source):
    """Common are 30, 20 and 10: at steps 200, 300, 400 of SiT and 100, 200, 300 of REPA. 40 and 5 are not."""
    source = make_source({("sit", 0): [40.0, 30.0, 20.0, 10.0], ("repa", 0): [30.0, 20.0, 10.0, 5.0]})
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.value == pytest.approx((200 / 100 * 300 / 200 * 400 / 300) ** (1 / 3))
    assert (found.start, found.end) == pytest.approx((30.0, 10.0))


def test_each_seed_is_compared_with_the_baseline_of_its_own_seed(make_source):
    source = make_source(
        {
            ("sit", 0): straight(1.0), ("sit", 1): straight(1.0, start=5.0),
            ("repa", 0): straight(1.5), ("repa", 1): straight(2.0, start=5.0),
        }
    )  # fmt: skip
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    ratio = found.ratio
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((math.sqrt(3), 1.5, 2.0), rel=1e-6)
    assert (ratio.kind, ratio.seeds, ratio.censored) == ("range", 2, "")
    assert found.target == pytest.approx((25.0 + 1.25) / 2)


def test_steps_seconds_and_operations_each_have_their_own_ratio(make_source):
    """REPA needs half the steps, at twice the cost per step, after 200 s of preparation."""
    source = make_source(
        {("sit", 0): straight(1.0), ("repa", 0): straight(2.0)}, oneoff={"repa": 200.0}, slower={"repa": 2.0}
    )
    gains = speedups(source, "fd@x", "sit", ["repa"])
    plain = {one.axis: one.ratio.value for one in gains if "+" not in one.axis}
    expected = {"steps": 2.0, "samples": 2.0, "device_seconds": 1.0, "cpu_seconds": 1.0, "flops": 1.0}
    assert plain == pytest.approx(expected, rel=1e-6)
    # Common values: those of SiT at 200, 300, 400 and of REPA at 100, 200, which are SiT's at 200 and 400.
    at = np.asarray([200.0, 300.0, 400.0])
    assert of(gains, "repa", "device_seconds+oneoff").ratio.value == pytest.approx(
        np.exp(np.mean(np.log(at * 2 / (at / 2 * 4 + 200)))), rel=1e-3
    )
    assert of(gains, "repa", "device_seconds+oneoff").to_final.value == pytest.approx(800 / (800 + 200))
    assert of(gains, "repa", "flops+oneoff").to_final.value == pytest.approx(4e8 / (4e8 + 2e8))


def test_what_the_baseline_needs_prepared_counts_too(make_source):
    source = make_source(
        {("repa", 0): straight(1.0), ("reed", 0): straight(2.0)}, oneoff={"repa": 100.0, "reed": 300.0}
    )
    gains = speedups(source, "fd@x", "repa", ["reed"])
    assert of(gains, "reed", "device_seconds").to_final.value == pytest.approx(800 / 400)
    assert of(gains, "reed", "device_seconds+oneoff").to_final.value == pytest.approx(900 / 700)


def test_a_crossing_before_the_first_row_of_the_curve_costs_its_share_of_it(make_source):
    """Curves with a row every 200 steps: REPA's 100 steps had cost half of the first row, not all of it."""
    source = make_source({("sit", 0): straight(1.0), ("repa", 0): straight(4.0)}, log_every=200)
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa", "device_seconds")
    assert found.ratio.value == found.to_final.value == pytest.approx(4.0)


@pytest.mark.parametrize(("factor", "above", "below", "value"), [(5.0, 1, 0, 4.0), (0.2, 0, 1, 0.25)])
def test_a_seed_without_a_value_in_common_is_a_bound_on_its_side(make_source, factor, above, below, value):
    source = make_source({("sit", 0): straight(1.0), ("repa", 0): straight(factor)})
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    ratio = found.ratio
    assert (ratio.value, ratio.kind, ratio.above, ratio.below) == (pytest.approx(value), "bound", above, below)
    assert (ratio.low, ratio.high) == ((ratio.value, None) if above else (None, ratio.value))
    assert (found.start, found.end) == (None, None)


def test_a_censored_seed_stays_in_the_mean_and_is_said(make_source):
    runs = {("sit", k): straight(1.0) for k in range(3)}
    runs |= {("repa", 0): straight(2.0), ("repa", 1): straight(2.0), ("repa", 2): straight(5.0)}
    found = of(speedups(make_source(runs), "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.value == pytest.approx((2 * 2 * 4) ** (1 / 3), rel=1e-6)
    assert found.ratio.censored == "> in 1 of 3 seeds"
    assert found.sentence == "> 2.52x fewer steps (> in 1 of 3 seeds)"
    assert "better at its first evaluation than the baseline ever gets in 1 of 3 seeds" in found.reason


def test_seeds_censored_on_both_sides_leave_no_number_but_a_reason(make_source):
    runs = {("sit", 0): straight(1.0), ("sit", 1): straight(1.0)}
    runs |= {("repa", 0): straight(5.0), ("repa", 1): straight(0.2)}
    found = of(speedups(make_source(runs), "fd@x", "sit", ["repa"]), "repa")
    assert (found.ratio.value, found.ratio.kind) == (None, "missing")
    assert found.ratio.censored == "> in 1 of 2 seeds, < in 1 of 2 seeds"
    assert found.sentence.startswith("no speed-up: better at its first evaluation")


def test_a_final_value_that_is_not_reached_in_one_seed_is_a_bound_for_all(make_source):
    runs = {("sit", 0): straight(1.0), ("sit", 1): straight(1.0)}
    runs |= {("repa", 0): straight(1.6), ("repa", 1): straight(0.8)}
    found = of(speedups(make_source(runs), "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.kind == "range"  # both have values in common all the same
    assert found.to_final.value == pytest.approx(math.sqrt(1.6), rel=1e-6)
    assert (found.to_final.high, found.to_final.low) == (found.to_final.value, None)
    assert found.final_sentence == "not reached in 1 of 2 seeds"
    assert found.reached == pytest.approx(250, rel=1e-6)
    assert found.reason == "never reaches the baseline's final value in 1 of 2 seeds"


def test_a_final_value_reached_before_the_first_evaluation_is_a_bound(make_source):
    source = make_source({("sit", 0): straight(1.0), ("repa", 0): straight(5.0)})
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    assert (found.to_final.text, found.reached) == ("> 4.00x", 100)


def test_the_baseline_is_as_fast_as_itself_and_has_no_way_to_its_own_end(make_source):
    """It was as good as at its end before that: a ratio there would say that it is faster than itself."""
    source = make_source({("sit", k): [40.0, 10.0, 10.0, 10.0] for k in range(2)})
    found = of(speedups(source, "fd@x", "sit", ["sit"]), "sit")
    assert (found.ratio.value, found.target, found.reason) == (1.0, 10.0, "")
    assert (found.to_final.value, found.to_final.text, found.to_final.kind) == (None, "–", "missing")
    assert found.reached is None


def test_without_a_common_seed_there_is_a_reason(make_source):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 1): [4.0, 3.0, 2.0, 1.0]})
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    assert (found.ratio.value, found.reason) == (None, "no seed in common with the baseline")


def test_a_metric_where_higher_is_better_gives_the_same_speed_up(make_source):
    """Shares whose logit grows with the log of the step."""
    curve = {factor: [factor * step / (1 + factor * step) for step in (1, 2, 3, 4)] for factor in (1.0, 2.0)}
    source = make_source({("sit", 0): curve[1.0], ("repa", 0): curve[2.0]}, direction="higher")
    assert of(speedups(source, "fd@x", "sit", ["repa"]), "repa").ratio.value == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("method", ["sit", "repa"])
def test_a_last_value_that_was_not_measured_gives_its_reason_and_no_number(make_source, lose, method):
    whole = make_source({("sit", 0): straight(1.0), ("repa", 0): straight(2.0)})
    found = of(speedups(lose(whole, "no folder", method=method, step=400), "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.value is None
    assert found.sentence == "no speed-up: left out 1 of 1 seeds (0), not measured at the last step: no folder"
    assert found.final_sentence == "not measured"
    assert math.isnan(found.target) == (method == "sit")


@pytest.mark.parametrize("absent", [True, False])
@pytest.mark.parametrize("method", ["sit", "repa"])
def test_a_value_that_was_not_measured_on_the_way_is_one_point_less(make_source, lose, method, absent):
    values = {(m, k): straight(f * (1 + k / 9)) for m, f in (("sit", 1.0), ("repa", 2.0)) for k in range(3)}
    where = {"method": method, "step": 200, "seed": 1}
    source = taken(make_source(values), where) if absent else lose(make_source(values), "killed", **where)
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.value == pytest.approx(2.0, rel=1e-6)
    assert (found.ratio.seeds, found.ratio.kind, found.reason) == (3, "t95", "")


@pytest.mark.parametrize(("absent", "why"), [(True, "no evaluation at step 400"), (False, "killed")])
@pytest.mark.parametrize("method", ["sit", "repa"])
def test_a_seed_without_its_last_value_is_left_out_and_said(make_source, lose, method, absent, why):
    values = {(m, k): straight(f * (1 + k)) for m, f in (("sit", 1.0), ("repa", 2.0)) for k in range(3)}
    where = {"method": method, "step": 400, "seed": 1}
    source = taken(make_source(values), where) if absent else lose(make_source(values), "killed", **where)
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    rest = make_source({run: curve for run, curve in values.items() if run[1] != 1})
    expected = of(speedups(rest, "fd@x", "sit", ["repa"]), "repa")
    assert (found.ratio, found.to_final) == (expected.ratio, expected.to_final)
    assert found.reason == f"left out 1 of 3 seeds (1), not measured at the last step: {why}"
    if method == "sit":
        assert found.target == expected.target


@pytest.mark.parametrize(
    ("axis", "ratio", "words"),
    [
        ("steps", Ratio(1.46, 1.05, 2.04, "t95", 3), "1.46x fewer steps [1.05, 2.04]"),
        ("steps", Ratio(0.77, 0.70, 0.85, "range", 2), "0.77x: more steps [0.70, 0.85]"),
        ("flops+oneoff", Ratio(1.2, None, None, "none", 1), "1.20x fewer FLOPs with preparation"),
        (
            "device_seconds",
            Ratio(0.25, None, 0.25, "bound", 2, below=2),
            "< 0.25x: more device time (< in 2 of 2 seeds)",
        ),
    ],
)
def test_a_sentence_is_ready_for_a_legend(axis, ratio, words):
    assert Speedup("repa", "ode", axis, ratio, ratio, 1.0).sentence == words


def test_rows_for_a_file_hold_both_figures_and_the_sentence(three_seeds):
    rows = pd.DataFrame(as_rows(speedups(three_seeds, "fd@x", "sit", ["repa"])))
    assert {
        "method",
        "axis",
        "value",
        "low",
        "high",
        "interval",
        "final_value",
        "target",
        "reached",
        "sentence",
    } <= set(rows)
    assert rows["axis"].tolist()[0] == "steps"


def test_levels_that_overlap_and_share_no_smoothed_value_are_not_called_faster(make_source):
    """The baseline measured 1.0, better than the method ever is; smoothed it is level at 4.2 or so."""
    source = make_source({("sit", 0): [5.0, 1.0, 4.0, 4.0], ("repa", 0): [2.0, 1.9, 1.8, 1.7]})
    found = of(speedups(source, "fd@x", "sit", ["repa"]), "repa")
    assert found.ratio.value is None
    assert (found.ratio.above, found.ratio.below) == (0, 0)
    assert "the measured values overlap" in found.reason
