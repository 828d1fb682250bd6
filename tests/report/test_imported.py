"""Rows of weights that were trained elsewhere change nothing in what is said of the others, and are never bold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.report import source as sources
from reedbench.report.digest import digest
from reedbench.report.figures.samples import _chosen
from reedbench.report.notes import notes
from reedbench.report.source import Source
from reedbench.report.speedup import speedups
from reedbench.report.tables import compare


@pytest.fixture(params=[9000, 400], ids=["beyond the last step", "at the last step"])
def step(request: pytest.FixtureRequest) -> int:
    """Of the public checkpoint; the others end at 400."""
    return int(request.param)


@pytest.fixture
def beside(three_seeds: Source, make_source: Callable[..., Source], step: int) -> Source:
    """The three seeds of SiT and REPA, and a public checkpoint that is better than both."""
    public = make_source({("public", k): [1.0 + k / 100] for k in range(3)}, steps=(step,), floor=False)
    constants = {"benchmark": "b", "method": "public", "params": 1234, sources.ORIGIN: "public.pt (sha256 0123)",
                 **{f"oneoff_{name}": np.nan for name in ("device_seconds", "cpu_seconds", "flops")}}  # fmt: skip
    rows = [sources.no_curve(step, step * 256, {**constants, "seed": k}) for k in range(3)]
    metrics = public.metrics.assign(weights="imported")
    return Source(
        pd.concat([three_seeds.metrics, metrics], ignore_index=True),
        pd.concat([three_seeds.curves, *rows], ignore_index=True),
        three_seeds.preview,
    )


@pytest.fixture
def words(facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "methods": {**facts["methods"], "public": {"label": "Public", "note": ""}}}


def test_speed_ups_of_the_others_are_as_without_it(beside, three_seeds):
    alone = speedups(three_seeds, "fd@x", "sit", ["repa", "sit"])
    found = speedups(beside, "fd@x", "sit", ["repa", "sit", "public"])
    assert [one for one in found if one.method != "public"] == alone
    assert {one.ratio.value for one in found if one.method == "public"} == {None}


def test_a_baseline_that_is_imported_says_why_there_are_no_speed_ups(beside):
    found = speedups(beside, "fd@x", "public", ["repa", "public"])
    reasons = {one.method: one.reason for one in found}
    assert reasons["repa"] == "the baseline is imported: what its training took is not known"
    assert reasons["public"] == "imported: what its training took is not known"


def test_it_is_in_the_digest_with_its_name_and_without_costs_or_bold(beside, words, step):
    found = digest(compare(beside, words))
    (row,) = (row for row in found.rows if row[0] == "Public (imported)")
    assert row[1] == str(step)
    assert row[-4:] == ("–", "–", "–", "–")
    column = found.columns.index("fd@x ↓")
    assert not any(j == column for _, j in found.best)


def test_a_note_says_where_it_is_from_and_what_its_bounds_are(beside, words, step):
    lines = notes(compare(beside, words))
    (own,) = (line for line in lines if line.startswith("Public: "))
    assert f"public.pt (sha256 0123), step {step}." in own
    assert not any("nan" in line for line in lines)


def test_a_picture_of_its_step_is_always_among_the_six():
    assert _chosen([1, 2, 3, 4, 5, 6, 7, 8, 9000], [9000]) == [1, 3, 5, 6, 8, 9000]
    assert _chosen([1, 2, 3], []) == [1, 2, 3]
    assert _chosen([7, 9000], [7, 9000]) == [7, 9000]
