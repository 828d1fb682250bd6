"""Differences within seeds: what they are, what they show, and in what words."""

import numpy as np
import pytest
from scipy import stats

from reedbench.report import source as sources
from reedbench.report.paired import difference, differences

ID = "fd@x.v1-n64"


def test_three_seeds_have_the_interval_of_the_paired_t_test(make_source):
    ours, theirs = [4.0, 9.0, 7.0], [5.0, 11.0, 7.5]
    runs = {"repa": ours, "sit": theirs}
    source = make_source({(m, k): [runs[m][k]] for m in runs for k in range(3)}, steps=(100,))
    found = difference(source, ID, "repa", "sit", 100, "ode")
    low, high = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (found.over.mean, found.over.low, found.over.high) == pytest.approx((-3.5 / 3, low, high))
    assert (found.over.kind, found.seeds) == ("t95", (0, 1, 2))


def test_only_seeds_that_both_have_are_paired(make_source):
    source = make_source({("sit", 0): [5.0], ("sit", 1): [6.0], ("repa", 1): [4.0], ("repa", 2): [1.0]}, steps=(100,))
    found = difference(source, ID, "repa", "sit", 100, "ode")
    assert (found.seeds, found.over.mean, found.over.kind, found.shown) == ((1,), -2.0, "none", False)
    assert difference(source, ID, "repa", "nobody", 100, "ode").text == "–"


def test_two_seeds_show_nothing_however_far_apart(make_source):
    values = {("sit", 0): [9.0], ("sit", 1): [8.0], ("repa", 0): [1.0], ("repa", 1): [2.0]}
    found = difference(make_source(values, steps=(100,)), ID, "repa", "sit", 100, "ode")
    assert (found.over.low, found.over.high, found.over.kind, found.shown) == (-8.0, -6.0, "range", False)
    assert found.sentence({}) == (
        "repa against sit, fd@x: -7.00 [-8.00, -6.00] (two seeds: a range), no difference shown"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "sign", "words"),
    [("lower", -1, "better"), ("lower", 1, "worse"), ("higher", 1, "better"), ("higher", -1, "worse")],
)
def test_a_sentence_says_better_or_worse_where_the_interval_excludes_0(make_source, direction, sign, words):
    values = {(m, k): [5.0 + k + (m == "repa") * sign * (1 + 0.1 * k)] for m in ("sit", "repa") for k in range(3)}
    found = difference(make_source(values, steps=(100,), direction=direction), ID, "repa", "sit", 100, "ode")
    assert found.sentence({"repa": "REPA", "sit": "SiT"}).startswith(f"REPA against SiT, fd@x: {sign:+.0f}"[:-1])
    assert found.sentence({}).endswith(f", {words}")


def test_an_interval_that_holds_0_shows_no_difference(make_source):
    values = {(m, k): [5.0 + (m == "repa") * (k - 1.1)] for m in ("sit", "repa") for k in range(3)}
    found = difference(make_source(values, steps=(100,)), ID, "repa", "sit", 100, "ode")
    assert found.over.kind == "t95"
    assert found.sentence({}).endswith("no difference shown")


def test_what_was_not_measured_in_one_seed_has_no_difference(three_seeds, lose):
    found = difference(lose(three_seeds, "no folder", method="repa", seed=1), ID, "repa", "sit", 400, "ode")
    assert np.isnan(found.over.mean)
    assert found.sentence({}).endswith("not measured")


def test_there_is_one_per_metric_method_and_step_and_none_for_the_baseline(three_seeds):
    found = differences(three_seeds, [ID, "accuracy@x.v1-n64"], ["repa", "sit"], "sit")
    assert len(found) == 2 * 1 * 4
    assert {one.method for one in found} == {"repa"}


def test_the_committed_digits_cache_gives_the_differences_of_its_seeds(pytestconfig, monkeypatch):
    """The arithmetic, from the file: mean and t interval of REED minus SiT at equal seed."""
    monkeypatch.chdir(pytestconfig.rootpath)
    source = sources.read_cache("digits")
    metric = next(i for i in source.metrics["metric"].unique() if i.startswith("fd@digits-clf") and "n1437" in i)
    last = source.metrics[(source.metrics["metric"] == metric) & (source.metrics["step"] == 800)]
    wide = last.pivot(index="seed", columns="method", values="value")
    found = difference(source, metric, "reed", "sit", 800, "ode")
    expected = stats.ttest_rel(wide["reed"], wide["sit"]).confidence_interval(0.95)
    assert (found.over.low, found.over.high) == pytest.approx((expected.low, expected.high))
