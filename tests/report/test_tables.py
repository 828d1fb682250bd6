"""The tidy table and its readable forms."""

import dataclasses

import pandas as pd
import pytest

from reedbench.core.errors import MetricError, MissingArtefact
from reedbench.report import tables
from reedbench.report.intervals import Interval, interval
from reedbench.report.source import Source
from reedbench.report.speedup import speedups

COLUMNS = [
    "benchmark", "domain", "method", "label", "backbone", "params", "step", "samples_seen", "sampler", "nfe",
    "guidance", "weights", "seeds",
    "fd@x.v1-n64", "fd@x.v1-n64.low", "fd@x.v1-n64.high", "fd@x.v1-n64.interval",
    "accuracy@x.v1-n64", "accuracy@x.v1-n64.low", "accuracy@x.v1-n64.high", "accuracy@x.v1-n64.interval",
    "device_seconds", "cpu_seconds", "flops",
    "speedup_steps", "speedup_steps.low", "speedup_steps.high",
    "speedup_seconds", "speedup_seconds.low", "speedup_seconds.high", "speedup_interval", "speedup_target", "reason",
]  # fmt: skip


def tidy(source: Source, facts) -> pd.DataFrame:
    return tables.tidy(source, facts)


def test_the_columns_stand_in_the_order_of_design_decision_14(three_seeds, facts):
    assert list(tidy(three_seeds, facts).columns) == COLUMNS


def test_rows_are_methods_in_file_order_then_steps(three_seeds, facts):
    table = tidy(three_seeds, facts)
    assert list(zip(table["method"], table["step"], strict=True)) == [
        (method, step) for method in ("repa", "sit") for step in (100, 200, 300, 400)
    ]


def test_a_row_holds_mean_bounds_costs_and_speed_up(three_seeds, facts):
    row = tidy(three_seeds, facts).iloc[1]  # REPA, step 200
    over = interval([10.0, 11.0, 12.0])
    assert row["fd@x.v1-n64"] == 11.0
    assert (row["fd@x.v1-n64.low"], row["fd@x.v1-n64.high"]) == (over.low, over.high)
    assert row["fd@x.v1-n64.interval"] == "t95"
    assert row["accuracy@x.v1-n64"] == pytest.approx(0.6)
    assert (row["seeds"], row["params"], row["samples_seen"]) == ("0 1 2", 1234, 1600)
    assert (row["nfe"], row["guidance"], row["weights"], row["sampler"]) == (50, 1.5, "ema", "ode")
    assert (row["device_seconds"], row["cpu_seconds"], row["flops"]) == (800.0, 1200.0, 4e8)
    gains = speedups(three_seeds, "fd@x", "sit", ["repa"]).set_index("axis")
    assert row["speedup_steps"] == gains.loc["steps", "value"] == pytest.approx(2.0)
    assert row["speedup_seconds"] == gains.loc["device_seconds", "value"] == pytest.approx(1.0)
    assert (row["speedup_interval"], row["speedup_target"]) == ("t95", 11.0)


def test_the_floor_is_no_row_and_no_column(three_seeds, facts):
    table = tidy(three_seeds, facts)
    assert set(table["method"]) == {"repa", "sit"}
    assert not any("n30" in name for name in table.columns)


def test_costs_at_an_evaluation_between_two_rows_of_the_curve_are_interpolated(make_source, facts):
    source = make_source({("sit", 0): [4.0, 3.0], ("repa", 0): [3.0, 2.0]}, steps=(125, 200), log_every=50)
    row = tidy(source, facts).iloc[0]
    assert (row["step"], row["samples_seen"], row["device_seconds"], row["flops"]) == (125, 1000, 250.0, 1.25e8)


def test_two_metric_ids_never_share_a_column(make_source, make_records, facts):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [4.0, 3.0, 2.0, 1.0]})
    cells = [(m, 0, step) for m in ("sit", "repa") for step in (100, 200, 300, 400)]
    other = make_records(*((*cell, "fd@x", 7.0, 128, {"uses": "fd"}) for cell in cells))
    both = dataclasses.replace(source, metrics=pd.concat([source.metrics, other], ignore_index=True))
    facts["speedup"]["metric"] = "accuracy@x"
    table = tidy(both, facts)
    assert table["fd@x.v1-n64"].tolist() == [4.0, 3.0, 2.0, 1.0] * 2
    assert table["fd@x.v1-n128"].tolist() == [7.0] * 8


def test_a_cell_that_lacks_a_metric_of_the_others_is_an_error(make_source, facts):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [4.0, 3.0, 2.0, 1.0]})
    metrics = source.metrics
    lost = (metrics["method"] == "sit") & (metrics["step"] == 200) & (metrics["family"] == "accuracy@x")
    with pytest.raises(MetricError, match=r"accuracy@x\.v1-n64: .* sit, step 200"):
        tidy(dataclasses.replace(source, metrics=metrics[~lost]), facts)


def test_one_id_under_two_protocols_is_an_error(make_records):
    cell = ("sit", 0, 100, "fd@x", 1.0, 64, {"uses": "fd", "n_reference": 100})
    make_records(cell, ("repa", 0, 100, "fd@x", 1.0, 64, {"n_reference": 100, "uses": "fd"}))
    with pytest.raises(MetricError, match=r"fd@x\.v1-n64: measured under two protocols"):
        make_records(cell, ("repa", 0, 100, "fd@x", 1.0, 64, {"uses": "fd", "n_reference": 200}))


def test_a_missing_cell_is_named(three_seeds):
    with pytest.raises(MissingArtefact, match=r"no metrics for repa, seed 7, step 400, sampler ode \(1 of 2 cells"):
        three_seeds.only([("repa", 0, 400, "ode"), ("repa", 7, 400, "ode")])


def test_the_digest_has_one_line_per_method_at_its_last_step(three_seeds, facts):
    shown = tables.digest(tidy(three_seeds, facts), three_seeds, facts)
    assert shown["method"].tolist() == ["REPA_x 50%", "SiT"]
    assert shown["step"].tolist() == [400, 400]
    assert list(shown.columns) == [
        "method", "step", "fd@x ↓", "accuracy@x ↑", "device s", "speed-up, steps", "speed-up, seconds"
    ]  # fmt: skip
    assert shown["fd@x ↓"].tolist() == ["6.00 [3.52, 8.48]", "11.00 [8.52, 13.48]"]
    assert shown["speed-up, steps"][0].startswith("2.00x")


def test_markdown_is_a_table_with_its_notes(three_seeds, facts):
    table = tidy(three_seeds, facts)
    text = tables.markdown(tables.digest(table, three_seeds, facts), "B", tables.notes(table, three_seeds, facts))
    lines = text.splitlines()
    assert lines[0] == "# B"
    assert lines[2].startswith("| method | step | fd@x ↓ |")
    assert {line.count("|") for line in lines[2:6]} == {8}
    assert "- REPA_x 50%: A note." in lines
    assert "- Floor, training half against the other half (n = 30): fd@x 0.25." in lines
    assert any("95 % t interval over seeds" in line for line in lines)


def test_latex_escapes_what_latex_would_misread(three_seeds, facts):
    table = tidy(three_seeds, facts)
    text = tables.latex(tables.digest(table, three_seeds, facts), ["100 % of it"])
    assert r"REPA\_x 50\%" in text
    assert r"fd@x $\downarrow$ & accuracy@x $\uparrow$" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any(letter in line for line in body for letter in "↓↑≥")
    assert r"\begin{tabular}{lrrrrrr}" in body
    assert text.startswith("% 100 % of it\n")


@pytest.mark.parametrize("sign", "_%&#$")
def test_latex_escapes_every_sign_that_a_label_may_hold(sign):
    text = tables.latex(pd.DataFrame({"method": [f"a{sign}b"], "step": [1]}), [])
    assert rf"a\{sign}b & 1 \\" in text


def test_two_seeds_are_never_said_to_have_a_confidence_interval(make_source, facts):
    source = make_source({(m, k): [4.0 + k, 3.0, 2.0, 1.0 + k] for m in ("sit", "repa") for k in (0, 1)})
    table = tidy(source, facts)
    assert set(table["fd@x.v1-n64.interval"]) == {"range"}
    notes = " ".join(tables.notes(table, source, facts))
    assert "range over the two seeds (no confidence interval)" in notes
    assert "t interval" not in notes


def test_a_method_that_never_arrives_says_so(make_source, facts):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [9.0, 8.0, 7.0, 6.0]})
    table = tidy(source, facts)
    assert table["reason"][0] == "1 of 1 seeds: never reaches 1 (best 6)"
    assert tables.digest(table, source, facts)["speed-up, steps"][0] == "not reached"


def test_a_bound_is_written_as_one(make_source, facts):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [0.9, 0.8, 0.7, 0.6]})
    assert tables.digest(tidy(source, facts), source, facts)["speed-up, steps"][0] == "≥ 4.00x"


def test_csv_keeps_full_precision_and_leaves_empty_what_does_not_apply():
    table = pd.DataFrame({"a": [0.1 + 0.2, float("nan")], "b": ["x", None]})
    assert tables.as_csv(table) == "a,b\n0.30000000000000004,x\n,\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Interval(3.4837, 3.19, 3.771, "t95"), "3.48 [3.19, 3.77]"),
        (Interval(123.456, None, None, "none"), "123.46"),
        (Interval(0.5125, 0.5, 0.525, "range"), "0.512 [0.500, 0.525]"),
        (Interval(0.03456, None, None, "none"), "0.0346"),
        (Interval(-2.5, None, None, "none"), "-2.50"),
    ],
)
def test_digits_suit_the_size(value, shown):
    assert tables.text(value) == shown


def test_the_kind_of_interval_is_said_right_where_the_first_metric_was_not_measured(three_seeds, lose, facts):
    source = lose(three_seeds, "no folder", sampler="ode")
    facts["speedup"]["metric"] = "accuracy@x"
    table = tidy(source, facts)
    assert set(table["fd@x.v1-n64.interval"]) == {"none"}
    notes = tables.notes(table, source, facts)
    assert notes[0].startswith("Values: mean [95 % t interval over seeds], seeds 0 1 2")
    assert "fd@x was not measured: no folder." in notes


def test_a_speed_up_on_a_metric_that_was_not_measured_is_a_dash_and_its_reason(three_seeds, lose, facts):
    source = lose(three_seeds, "no folder", sampler="ode")
    table = tidy(source, facts)
    assert set(table["reason"]) == {
        "3 of 3 seeds: the metric was not measured: no folder; fd@x.v1-n64: no folder"
    }  # fmt: skip
    shown, lines = tables.digest(table, source, facts), tables.notes(table, source, facts)
    for column in ("fd@x ↓", "speed-up, steps", "speed-up, seconds"):
        assert shown[column].tolist() == ["–", "–"]
    assert "(mean not measured with ode)" in lines[1]
    written = [tables.markdown(shown, "B", lines), tables.latex(shown, lines), tables.as_csv(table)]
    assert not any("nan" in text.lower() for text in written)
