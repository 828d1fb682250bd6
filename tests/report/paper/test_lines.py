"""Which lines a table has: what is apart, what is left out, in which order, and what cannot stand in one place."""

from typing import Any

import pytest

from reedbench.core.errors import ConfigError
from reedbench.report.paper.lines import Shown, shown
from reedbench.schema.paper import Table
from reedbench.schema.published_row import Published

LINES = iter(range(2, 10_000))


def number(value: float, method: str = "REPA", **more: Any) -> Published:
    """A row of config/reference: a claim on SiT-B/2 at 400,000 steps unless said otherwise."""
    kind = more.get("kind", "claim")
    common = {"domain": "image", "data": "imagenet-256", "backbone": "SiT-B/2", "steps": 400_000, "metric": "fid",
              "guidance": "none", "kind": kind, "source": "yu2025repa", "tag": "P" if kind == "claim" else "T",
              "at": f"image.csv:{next(LINES)}"}  # fmt: skip
    return Published(**{**common, "method": method, "value": value, "printed": f"{value:.1f}", **more})


def lines(rows: list[Published], **more: Any) -> Shown:
    table = {"title": "A table", "where": {"data": "imagenet-256"}, "by": ["method", "steps"], "columns": ["fid"]}
    return shown(rows, "some", Table.model_validate({**table, **more}))


def words(found: Shown) -> list[tuple[str, ...]]:
    return [(*line.words, *(row.printed for row in line.cells.values())) for line in found.lines]


def refused(rows: list[Published], **more: Any) -> str:
    with pytest.raises(ConfigError) as error:
        lines(rows, **more)
    return str(error.value)


def test_claims_copies_and_others_runs_are_lines_of_their_own_and_so_are_sources():
    rows = [
        number(24.4),
        number(22.4, kind="rerun", source="wang2026rare"),
        number(22.3, kind="rerun", source="wu2025reg"),
        number(24.0, kind="copy", source="wu2025reg"),
    ]
    found = [(line.first.kind, line.first.source, line.first.printed) for line in lines(rows).lines]
    assert found == [
        ("claim", "yu2025repa", "24.4"),
        ("copy", "wu2025reg", "24.0"),
        ("rerun", "wang2026rare", "22.4"),
        ("rerun", "wu2025reg", "22.3"),
    ]


def test_a_copy_that_says_the_same_is_left_out_and_counted():
    found = lines([number(24.4, kind="copy", source="wu2025reg"), number(24.4)])
    assert words(found) == [("REPA", "400000", "24.4")]
    assert [row.source for row in found.repeated] == ["wu2025reg"]


def test_a_reading_of_a_figure_yields_to_the_printed_number_and_not_the_other_way_round():
    read = {"tag": "G", "kind": "copy", "source": "wang2025reed"}
    assert words(lines([number(24.4), number(24.3, **read)])) == [("REPA", "400000", "24.4")]
    claim = number(24.4, tag="G")
    assert len(lines([claim, number(24.3, kind="copy", source="wang2025reed")]).lines) == 2


def test_a_copy_with_one_number_more_stays_whole():
    copy = {"kind": "copy", "source": "wu2025reg"}
    rows = [number(24.4), number(24.4, **copy), number(6.4, metric="sfid", **copy)]
    assert words(lines(rows, columns=["fid", "sfid"])) == [
        ("REPA", "400000", "24.4"),
        ("REPA", "400000", "24.4", "6.4"),
    ]


def test_a_claim_that_another_overrides_is_left_out_and_named():
    rows = [number(9.7, note="used: twice in the paper"), number(10.0, place="Table 7")]
    found = lines(rows)
    assert words(found) == [("REPA", "400000", "9.7")]
    assert [row.place for row in found.overridden] == ["Table 7"]


def test_two_runs_of_one_person_are_two_lines():
    rerun = {"kind": "rerun", "source": "ma2024sit"}
    assert words(lines([number(9.3, **rerun), number(9.5, **rerun)])) == [
        ("REPA", "400000", "9.3"),
        ("REPA", "400000", "9.5"),
    ]


def test_two_claims_of_one_number_are_refused_and_both_are_named():
    one, other = number(24.4, place="Table 3"), number(24.9, place="Table 7")
    said = refused([one, other])
    assert "conflicting sources" in said
    assert f"24.4 in {one.at} (yu2025repa, Table 3)" in said
    assert f"24.9 in {other.at} (yu2025repa, Table 7)" in said


def test_numbers_under_different_protocols_need_a_column_that_says_so():
    one, other = number(24.4, sampler="euler-maruyama"), number(34.8, sampler="ode")
    said = refused([one, other])
    assert "tables.some.by:" in said
    assert one.at in said
    assert other.at in said
    assert "differ in sampler" in said
    assert words(lines([one, other], by=["method", "sampler"])) == [
        ("REPA", "euler-maruyama", "24.4"),
        ("REPA", "ode", "34.8"),
    ]


def test_lines_stand_in_the_order_of_the_table_then_of_numbers():
    rows = [number(1.0, "SiT", steps=7_000_000), number(2.0, "REPA", steps=50_000), number(3.0, "REED", steps=400_000)]
    rows += [number(4.0, "SiT", steps=400_000), number(5.0, "REPA", steps=None, epochs=80)]
    found = lines(rows, where={"method": ["SiT", "REPA", "REED"]})
    assert [line[:2] for line in words(found)] == [
        ("SiT", "400000"),
        ("SiT", "7000000"),
        ("REPA", ""),
        ("REPA", "50000"),
        ("REED", "400000"),
    ]


def test_keys_of_settings_select_tell_apart_and_order():
    rows = [number(11.0, setting="encoder=CLIP-L;depth=8"), number(12.5, setting="encoder=MAE-L;depth=8")]
    rows += [number(10.3, setting="encoder=CLIP-L;depth=6"), number(33.0, setting="")]
    where = {"settings": {"encoder": ["MAE-L", "CLIP-L"], "depth": 8}}
    assert words(lines(rows, where=where, by=["encoder"])) == [("MAE-L", "12.5"), ("CLIP-L", "11.0")]
    assert words(lines(rows, where={"settings": {"encoder": ""}}, by=["method"])) == [("REPA", "33.0")]


def test_but_leaves_out():
    rows = [number(24.4), number(1.8, guidance="1.35")]
    assert words(lines(rows, but={"guidance": 1.35})) == [("REPA", "400000", "24.4")]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"where": {"method": "REPAA"}}, "tables.some.where: unknown method 'REPAA'"),
        ({"where": {"settings": {"encodr": "x"}}}, "tables.some.where.settings: unknown key 'encodr'"),
        ({"where": {"settings": {"encoder": "CLIP"}}}, "tables.some.where.settings.encoder: unknown value 'CLIP'"),
        ({"where": {"method": "SiT", "steps": 400000}}, "no number of config/reference has all of this at once"),
        ({"by": ["methd"]}, "tables.some.by: 'methd' is no column"),
        ({"columns": ["fid", "cmmd"]}, "tables.some.columns: none of the rows has cmmd"),
    ],
)
def test_what_there_is_not_is_refused(wrong, said):
    rows = [number(24.4, setting="encoder=CLIP-L"), number(33.0, "SiT", steps=50_000)]
    assert said in refused(rows, **wrong)
