"""The speed-ups that papers claim: computed from the shipped points, and moved by them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from reedbench.core.errors import ConfigError
from reedbench.report import published
from reedbench.report.paper import speedup_text
from reedbench.report.paper.speedup import Found, computed
from reedbench.schema import paper as paper_file
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import Published

REPOSITORY = Path(__file__).parents[3]
Rows = Sequence[Published]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return published.load(REPOSITORY / "config/reference")


@pytest.fixture(scope="module")
def asked() -> Paper:
    return paper_file.read(REPOSITORY / "config/paper.yaml")


@pytest.fixture
def found(rows, asked) -> dict[str, Found]:
    return computed(rows, asked)


def changed(rows: Rows, which: Callable[[Published], bool], **instead: object) -> list[Published]:
    """The rows, those that `which` picks with other values."""
    assert any(map(which, rows))
    return [row.model_copy(update=instead) if which(row) else row for row in rows]


def at(method: str, steps: int, **more: object) -> Callable[[Published], bool]:
    """Unguided FIDs of a method on SiT-XL/2 after so many steps."""
    wanted = {"method": method, "steps": steps, "metric": "fid", "backbone": "SiT-XL/2", "guidance": "none", **more}
    return lambda row: all(getattr(row, name) == value for name, value in wanted.items())


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("reed-sit", 7e6 / 3e5), ("repa-sit", 17.5), ("reed-repa-guided", 4.0), ("reed-protein", 250 / 70)],
)
def test_the_headlines_come_out_of_the_points(found, name, ratio):
    assert found[name].ratio == pytest.approx(ratio)
    assert found[name].agrees, "the claim is not this ratio, rounded"
    assert found[name].claim.metric == "speed-up"


def test_they_are_23_33_and_17_5_and_4_and_3_571(found):
    shown = {name: f"{one.ratio:.3f}" for name, one in found.items()}
    assert shown == {"reed-sit": "23.333", "repa-sit": "17.500", "reed-repa-guided": "4.000", "reed-protein": "3.571"}


def test_a_point_of_the_method_that_is_worse_costs_it_the_next_one(rows, asked):
    moved = changed(rows, at("REED", 300_000), value=8.4, printed="8.4")
    one = computed(moved, asked)["reed-sit"]
    assert one.ratio == pytest.approx(7e6 / 4e5)
    assert not one.agrees
    assert "That is not what wang2025reed claims (23.3)" in " ".join(speedup_text.notes({"x": one}))


def test_a_point_of_the_baseline_moves_target_and_cost(rows, asked):
    moved = changed(rows, at("SiT", 7_000_000), steps=3_500_000)
    assert computed(moved, asked)["reed-sit"].ratio == pytest.approx(3.5e6 / 3e5)
    easier = changed(rows, at("SiT", 7_000_000), value=9.9, printed="9.9")
    assert computed(easier, asked)["reed-sit"].ratio == pytest.approx(35.0)


def test_at_a_number_the_first_point_of_the_baseline_that_is_as_good_counts(rows, asked):
    sooner = changed(rows, lambda row: row.domain == "protein" and row.epochs == 150 and row.value == 41.2, value=41.5)
    assert computed(sooner, asked)["reed-protein"].ratio == pytest.approx(150 / 70)


def test_the_bracket_is_what_neighbouring_points_allow(found):
    reed = found["reed-sit"]
    assert (reed.low, reed.high) == (pytest.approx(4 / 3), pytest.approx(35.0))
    protein = found["reed-protein"]
    assert (protein.low, protein.high) == (pytest.approx(150 / 70), pytest.approx(250 / 50))


def test_it_is_open_where_a_curve_begins_beyond_the_target(found):
    one = found["reed-repa-guided"]
    assert (one.low, one.high) == (1.0, None)
    assert "more than 1.00x" in speedup_text.digest({"x": one}).rows[0]


def test_both_readings_between_points_lie_in_the_bracket(found):
    for one in found.values():
        assert one.straight is not None
        assert one.smooth is not None
        assert (one.low or 0) <= one.straight <= (one.high or 1e9)
        assert (one.low or 0) <= one.smooth <= (one.high or 1e9)


def test_straight_lines_are_over_the_logarithm_of_cost_and_of_fid(found):
    """REED: 9.8 at 200,000 and 8.2 at 300,000; by hand for 8.3."""
    share = 0.1661268 / 0.1782482  # ln(9.8 / 8.3) / ln(9.8 / 8.2)
    crossing = 200_000 * 1.5**share
    assert found["reed-sit"].straight == pytest.approx(7e6 / crossing, rel=1e-5)


def test_digitised_points_that_enter_are_said(found):
    assert [row.printed for row in found["reed-sit"].digitised] == ["9.8"]
    assert sorted(row.printed for row in found["reed-protein"].digitised) == ["41.2", "41.6"]
    assert found["repa-sit"].digitised == ()
    (line,) = [line for line in speedup_text.notes({"x": found["reed-sit"]}) if "Read off a figure" in line]
    assert "REED 9.8 at 200,000" in line


def test_every_claim_says_what_it_leaves_out(found):
    said = speedup_text.notes(found)
    assert all(any(one.asked.leaves_out in line for line in said) for one in found.values())


def test_a_curve_that_never_gets_there_is_refused(rows, asked):
    worse = [
        row.model_copy(update={"value": 99.0}) if row.method == "REED" and row.metric == "fid" else row for row in rows
    ]
    with pytest.raises(ConfigError, match=r"speedups.reed-sit.target: no number of REED is as good as 8.3"):
        computed(worse, asked)


def test_two_numbers_at_one_cost_are_refused_and_both_are_named(rows, asked):
    one = next(row for row in rows if at("REED", 300_000)(row))
    other = one.model_copy(update={"value": 8.1, "printed": "8.1", "n": None, "at": "image.csv:9999"})
    with pytest.raises(ConfigError, match="both are its fid at 300000") as error:
        computed([*rows, other], asked)
    assert one.at in str(error.value)
    assert other.at in str(error.value)


def test_a_claim_without_a_row_is_refused(rows, asked):
    without = [row for row in rows if not (row.metric == "speed-up" and row.method == "REED")]
    with pytest.raises(ConfigError, match=r"speedups.reed-sit"):
        computed(without, asked)
