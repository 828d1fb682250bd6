"""The table for people: what it shows, what is bold, and what its notes say."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from reedbench.report import markup
from reedbench.report.digest import Digest, digest
from reedbench.report.intervals import Interval, plain
from reedbench.report.notes import notes
from reedbench.report.tables import as_csv, compare


def shown(source, facts) -> dict[str, list[str]]:
    """Columns of the digest by name."""
    found = digest(compare(source, facts))
    return {name: [row[i] for row in found.rows] for i, name in enumerate(found.columns)}


def test_the_digest_has_one_line_per_method_at_its_last_step(three_seeds, facts):
    columns = shown(three_seeds, facts)
    assert list(columns) == [
        "method", "step", "fd@x ↓", "accuracy@x ↑", "device s", "speed-up, steps", "speed-up, seconds",
        "to SiT's final value, steps",
    ]  # fmt: skip
    assert columns["method"] == ["REPA_x 50%", "SiT"]
    assert columns["step"] == ["400", "400"]
    assert columns["fd@x ↓"] == ["6.00 [3.52, 8.48]", "11.00 [8.52, 13.48]"]
    assert columns["to SiT's final value, steps"] == ["2.00x", "–"]


def test_columns_select_and_order_metrics_and_the_csv_stays_whole(three_seeds, facts):
    facts["columns"] = ["accuracy@x"]
    assert [name for name in shown(three_seeds, facts) if "@" in name] == ["accuracy@x ↑"]
    assert any(name.startswith("fd@x") for name in compare(three_seeds, facts).table)
    facts["columns"] = ["accuracy@x", "fd@x"]
    assert [name for name in shown(three_seeds, facts) if "@" in name] == ["accuracy@x ↑", "fd@x ↓"]


def test_the_notes_say_how_samples_were_drawn(three_seeds, facts):
    said = "Sampler ode: euler steps=50; pixels; balanced labels; fp32; guidance 1.5; 50 network evaluations."
    assert said in notes(compare(three_seeds, facts))
    counted = three_seeds.metrics.assign(nfe=50.5 + three_seeds.metrics["step"] / 100)
    source = dataclasses.replace(three_seeds, metrics=counted)
    assert any("; 51.5 to 54.5 network evaluations." in line for line in notes(compare(source, facts)))


def test_differences_stand_below_the_values_in_the_same_columns(three_seeds, facts):
    found = digest(compare(three_seeds, facts))
    assert found.heading == "Differences to SiT, paired over seeds"
    (row,) = found.differences
    assert dict(zip(found.columns, row, strict=True))["fd@x ↓"] == "-5.00"
    assert len(row) == len(found.columns)


@pytest.mark.parametrize(
    ("differ", "seeds", "bold"),
    [
        ([-1.0, -1.1, -0.9], 3, True),
        ([-3.0, -0.1, 1.0], 3, False),  # the interval holds 0
        ([-1.0, -1.1], 2, False),  # a range is no confidence interval
        ([-1.0], 1, False),
    ],
)
def test_the_best_value_is_bold_only_where_its_paired_interval_excludes_the_second_best(
    make_source, facts, differ, seeds, bold
):
    values = {("sit", k): [9.0 - 2 * k] for k in range(seeds)}
    values |= {("repa", k): [9.0 - 2 * k + differ[k]] for k in range(seeds)}
    found = digest(compare(make_source(values, steps=(100,)), facts))
    assert found.best == ({(0, 2)} if bold else frozenset())


def test_of_three_methods_the_best_is_compared_with_the_second_best(make_source, facts):
    """REPA is far from SiT, and REED no different from REPA: nothing is bold."""
    more = {"sit": [5, 5, 5], "repa": [0, 0.1, 0], "reed": [0.1, 0, 0.1]}
    facts["methods"]["reed"] = {"label": "REED", "note": ""}
    values = {(m, k): [9.0 + k + add] for m, by_seed in more.items() for k, add in enumerate(by_seed)}
    assert not digest(compare(make_source(values, steps=(100,)), facts)).best


def test_a_method_that_is_slower_or_beyond_all_evaluations_is_shown_as_such(make_source, facts):
    values = {("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [9.0, 8.0, 7.0, 6.0]}
    columns = shown(make_source(values), facts)
    assert columns["speed-up, steps"] == ["< 0.25x", "1.00x"]
    assert columns["to SiT's final value, steps"][0] == "< 1.00x"
    values[("repa", 0)] = [0.9, 0.8, 0.7, 0.6]
    assert shown(make_source(values), facts)["speed-up, steps"][0] == "> 4.00x"


def test_a_speed_up_on_a_metric_that_was_not_measured_is_a_dash_and_its_reason(three_seeds, lose, facts):
    found = compare(lose(three_seeds, "no folder", sampler="ode"), facts)
    assert set(found.table["reason"]) == {
        "left out 3 of 3 seeds (0 1 2), not measured at the last step: no folder; fd@x.v1-n64: no folder"
    }  # fmt: skip
    columns, lines = shown(found.source, facts), notes(found)
    for column in ("fd@x ↓", "speed-up, steps", "speed-up, seconds"):
        assert columns[column] == ["–", "–"]
    assert any("(mean not measured with ode)" in line for line in lines)
    whole = digest(found)
    written = [markup.markdown(whole, "B", lines), markup.latex(whole, lines), as_csv(found)]
    assert not any(re.search(r"\bnan\b", text.lower()) for text in written)


def test_a_seed_without_a_last_value_costs_the_others_no_speed_up_and_a_note_says_so(three_seeds, lose, facts):
    found = compare(lose(three_seeds, "no folder", method="repa", step=400, seed=1), facts)
    columns = shown(found.source, facts)
    assert columns["to SiT's final value, steps"] == ["2.00x", "–"]
    assert "REPA_x 50%: left out 1 of 3 seeds (1), not measured at the last step: no folder." in notes(found)


def test_the_baseline_has_an_empty_cell_for_what_leads_to_its_own_final_value(make_source, facts):
    table = compare(make_source({(m, 0): [40.0, 10.0, 10.0, 10.0] for m in ("sit", "repa")}), facts).table
    own = table[table["method"] == "sit"]
    assert own[["speedup_to_final", "speedup_to_final.low", "speedup_to_final.high"]].isna().all(axis=None)
    assert (own["speedup_steps"] == 1).all()
    assert (table.loc[table["method"] == "repa", "speedup_to_final"] > 1.3).all()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Interval(3.4837, 3.19, 3.771, "t95"), "3.48 [3.19, 3.77]"),
        (Interval(123.456, None, None, "none"), "123.46"),
        (Interval(0.5125, 0.5, 0.525, "range"), "0.512 [0.500, 0.525]"),
        (Interval(0.03456, None, None, "none"), "0.0346"),
        (Interval(-2.5, None, None, "none"), "-2.50"),
    ],
)
def test_digits_suit_the_size(value, words):
    assert plain(value) == words


def test_digits_of_a_difference_suit_its_bounds():
    assert plain(Interval(-0.0638, -0.1198, -0.0078, "t95"), signed=True) == "-0.064 [-0.120, -0.008]"
    assert plain(Interval(0.02, None, None, "none"), signed=True) == "+0.0200"


def test_markdown_is_a_table_with_its_differences_and_notes(three_seeds, facts):
    found = compare(three_seeds, facts)
    lines = markup.markdown(digest(found), "B", notes(found)).splitlines()
    assert lines[0] == "# B"
    assert lines[2].startswith("| method | step | fd@x ↓ |")
    assert lines[4].startswith(r"| REPA\_x 50% | 400 | **6.00 [3.52, 8.48]** |")
    assert {line.count("|") for line in lines[2:6]} == {9}
    below = lines.index("## Differences to SiT, paired over seeds")
    assert lines[below + 2 : below + 5] == [
        "| method | step | fd@x ↓ | accuracy@x ↑ |",
        "| --- | --- | --- | --- |",
        r"| REPA\_x 50% | 400 | -5.00 | +0.0000 |"
    ]  # fmt: skip
    assert r"- REPA\_x 50%: A note." in lines
    assert "- Floor, training half against the other half (n = 30): fd@x 0.25." in lines
    assert any("95 % t interval over seeds" in line for line in lines)


NASTY = "a|b*c_d`e<f>[g](h)~$i$\\j{k}%l&m;#n^o\n p"


def test_markdown_escapes_whatever_a_label_or_title_may_hold():
    one = Digest(("method", "x"), ((NASTY, "1"),), frozenset(), "", ())
    text = markup.markdown(one, NASTY, [NASTY])
    row = text.splitlines()[4]
    assert re.sub(r"\\(.)", r"\1", row) == f"| {' '.join(NASTY.split())} | 1 |"  # nothing is lost
    assert len(re.findall(r"(?<!\\)\|", row)) == 3  # two cells
    assert not re.search(r"(?<!\\)[*_`<~$]", text.replace("| --- | --- |", ""))
    assert "](" not in text
    assert len(text.splitlines()) == 7  # the line break in it is none


def test_latex_escapes_whatever_a_label_may_hold():
    one = Digest(("method", "x"), ((NASTY, "1"), ("[2pt] label", "2")), frozenset({(0, 0)}), "", ())
    text = markup.latex(one, [NASTY])
    row = next(line for line in text.splitlines() if line.startswith(r"\textbf"))
    bare = re.sub(r"\\[_%&#${}]|\\text\w+\{\}|\\textbf|\$[<>|]\$", "", row)
    assert not set("_%#$^~|<>") & set(bare)
    assert bare.count("&") == 1
    assert bare.count("{") == bare.count("}") == 1
    assert "{[}2pt] label & 2" in text  # which a line break before it would take for its argument


def test_latex_typesets_its_notes_and_differences(three_seeds, facts):
    found = compare(three_seeds, facts)
    text = markup.latex(digest(found), notes(found))
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert r"fd@x $\downarrow$ & accuracy@x $\uparrow$" in text
    assert r"\begin{tabular}{lrrrrrrr}" in body
    assert r"\multicolumn{8}{l}{\emph{Differences to SiT, paired over seeds}} \\" in body
    assert r"REPA\_x 50\%: A note.\par" in body
    assert not any(letter in text for letter in "↓↑≥–−")
    rows = [line for line in body if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {7}
    opened, closed = (re.findall(rf"\\{word}\{{(\w+)\}}", text) for word in ("begin", "end"))
    assert sorted(opened) == sorted(closed) == ["minipage", "tabular"]


def test_two_seeds_are_never_said_to_have_a_confidence_interval(make_source, facts):
    found = compare(make_source({(m, k): [4.0 + k, 3.0, 2.0, 1.0 + k] for m in ("sit", "repa") for k in (0, 1)}), facts)
    assert set(found.table["fd@x.v1-n64.interval"]) == {"range"}
    text = " ".join(notes(found))
    assert "range over the two seeds (no confidence interval)" in text
    assert "Nothing is bold: two seeds have no confidence interval." in text
    assert "t interval" not in text


def test_the_kind_of_interval_is_said_right_where_the_first_metric_was_not_measured(three_seeds, lose, facts):
    facts["speedup"]["metric"] = "accuracy@x"
    found = compare(lose(three_seeds, "no folder", sampler="ode"), facts)
    assert set(found.table["fd@x.v1-n64.interval"]) == {"none"}
    lines = notes(found)
    assert lines[0].startswith("Values: mean [95 % t interval over seeds], seeds 0 1 2")
    assert "fd@x was not measured: no folder." in lines


def test_the_notes_say_which_values_were_compared_and_who_never_got_there(make_source, facts):
    values = {(m, k): [40.0, 30.0, 20.0, end] for m, end in (("sit", 10.0), ("repa", 15.0)) for k in (0, 1)}
    lines = notes(compare(make_source(values), facts))
    assert "Values that both reach (mean over seeds): REPA_x 50% 40 to 15." in lines
    assert "REPA_x 50%: never reaches the baseline's final value in 2 of 2 seeds." in lines


def test_the_spread_within_a_run_is_a_note(three_seeds, facts):
    spread = json.dumps({"kind": "std-of-streams", "std": 0.25, "streams": 3, "n": 21, "values": []})
    metrics = three_seeds.metrics
    own = (metrics["family"] == "fd@x") & (metrics["step"] == 400)
    source = dataclasses.replace(three_seeds, metrics=metrics.assign(spread=np.where(own, spread, metrics["spread"])))
    expected = "Standard deviation within a run, over 3 streams of 21 samples (mean over runs): fd@x 0.25."
    assert expected in notes(compare(source, facts))
    assert not any("Standard deviation" in line for line in notes(compare(three_seeds, facts)))


def with_numerics(source, of_run):
    """Each run's numerics by (method, seed), one per segment."""
    texts = [json.dumps(of_run[m, k]) if (m, k) in of_run else None
             for m, k in zip(source.curves["method"], source.curves["seed"], strict=True)]  # fmt: skip
    return dataclasses.replace(source, curves=source.curves.assign(numerics=pd.Series(texts, dtype=object)))


def test_runs_of_mixed_numerics_are_named_in_one_line(three_seeds, facts):
    plain_, other = {"torch": "2.9", "cpu": "avx2"}, {"torch": "2.9", "cpu": "avx512"}
    runs = {(m, k): [plain_] for m in ("sit", "repa") for k in range(3)}
    mixed = {**runs, ("repa", 1): [other], ("repa", 2): [plain_, other]}
    (line,) = [line for line in notes(compare(with_numerics(three_seeds, mixed), facts)) if "numerics" in line]
    assert line == (
        "Trained under mixed numerics, which differ by rounding (method and seeds): REPA_x 50% 1 (cpu avx512) | "
        "REPA_x 50% 2 (cpu avx2 then cpu avx512) | all others (cpu avx2)."
    )


@pytest.mark.parametrize("known", [True, False])
def test_one_kind_of_numerics_or_none_known_is_not_mentioned(three_seeds, facts, known):
    runs = {(m, k): [{"torch": "2.9"}] for m in ("sit", "repa") for k in range(3)} if known else {}
    assert not any("numerics" in line for line in notes(compare(with_numerics(three_seeds, runs), facts)))


def test_runs_that_all_changed_numerics_in_a_segment_are_named_too(three_seeds, facts):
    runs = {(m, k): [{"threads": "1 then 2", "torch": "2.9"}] for m in ("sit", "repa") for k in range(3)}
    (line,) = [line for line in notes(compare(with_numerics(three_seeds, runs), facts)) if "numerics" in line]
    assert line.endswith(": SiT 0 1 2; REPA_x 50% 0 1 2 (threads 1 then 2).")
