"""Costs of runs: between rows of the curve, before its first, and what was prepared once."""

import dataclasses

import numpy as np
import pytest

from reedbench.report.costs import Costs


def test_before_the_first_row_of_a_curve_costs_grow_from_nothing(make_source):
    """Of 100 steps of 2 s each, half had cost half: not the first row's whole, not nothing."""
    costs = Costs(make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]}, log_every=100))
    assert costs.on("device_seconds", "sit", 0, np.asarray([0.0, 25.0, 50.0, 100.0])).tolist() == [0, 50, 100, 200]


def test_between_rows_costs_are_interpolated(make_source):
    costs = Costs(make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]}, slower={"sit": 2.0}, log_every=100))
    assert costs.on("flops", "sit", 0, np.asarray([150.0])).tolist() == [3e8]


@pytest.mark.parametrize(("axis", "once"), [("device_seconds", 7.0), ("cpu_seconds", 7.0), ("flops", 7e6)])
def test_an_axis_with_one_off_costs_adds_them_at_every_step(make_source, axis, once):
    costs = Costs(make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]}, oneoff={"sit": 7.0}))
    steps = np.asarray([50.0, 400.0])
    assert (costs.on(f"{axis}+oneoff", "sit", 0, steps) - costs.on(axis, "sit", 0, steps)).tolist() == [once, once]


def test_an_older_cache_that_does_not_know_a_one_off_cost_lacks_its_axis(make_source):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]})
    every = Costs(source).axes
    assert every[:5] == ["steps", "samples", "device_seconds", "cpu_seconds", "flops"]
    source = dataclasses.replace(source, curves=source.curves.drop(columns="oneoff_cpu_seconds"))
    assert set(every) - set(Costs(source).axes) == {"cpu_seconds+oneoff"}
