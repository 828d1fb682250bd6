"""Schedules: values at and beyond the ends of their window."""

import pytest

from reedbench.nn.schedules import SCHEDULES, cosine_decay, drop_after, linear_ramp


@pytest.mark.parametrize(
    ("name", "before", "at_start", "halfway", "at_end", "after"),
    [
        ("constant", 1, 1, 1, 1, 1),
        ("linear-ramp", 0, 0, 0.5, 1, 1),
        ("linear-decay", 1, 1, 0.5, 0, 0),
        ("cosine-decay", 1, 1, 0.5, 0, 0),
        ("stop", 1, 0, 0, 0, 0),
    ],
)
def test_a_schedule_moves_within_its_window_only(name, before, at_start, halfway, at_end, after):
    values = [SCHEDULES[name](step, 100, 50) for step in (99, 100, 125, 150, 10_000)]
    assert values == pytest.approx([before, at_start, halfway, at_end, after], abs=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_window_of_length_zero_is_a_jump(name):
    weights = [SCHEDULES[name](step, 10, 0) for step in (9, 10)]
    assert weights == {"constant": [1, 1], "linear-ramp": [0, 1]}.get(name, [1, 0])


def test_the_ramp_is_exactly_zero_on_its_first_step_and_one_on_its_last():
    assert linear_ramp(0, 0, 50_000) == 0.0
    assert linear_ramp(50_000, 0, 50_000) == 1.0


def test_the_cosine_never_rises():
    weights = [cosine_decay(step, 10, 20) for step in range(80)]
    assert weights == sorted(weights, reverse=True)


def test_a_dropped_term_stays_dropped():
    assert [drop_after(step, 2) for step in range(5)] == [1, 1, 0, 0, 0]
