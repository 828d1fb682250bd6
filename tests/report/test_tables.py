"""The tidy table: every number of a comparison, in the columns of design decision 14."""

import dataclasses

import pandas as pd
import pytest

from reedbench.core.errors import MetricError, MissingArtefact
from reedbench.report import source as sources
from reedbench.report.intervals import interval
from reedbench.report.paired import difference
from reedbench.report.source import Source
from reedbench.report.speedup import speedups
from reedbench.report.tables import as_csv, compare

SUFFIXES = ("", ".low", ".high", ".interval", ".delta", ".delta.low", ".delta.high", ".delta.interval")
COLUMNS = [
    "benchmark", "domain", "method", "label", "backbone", "params", "step", "samples_seen", "sampler", "nfe",
    "guidance", "guided_by", "weights", "seeds", "protocol",
    *(f"fd@x.v1-n64{suffix}" for suffix in SUFFIXES), *(f"accuracy@x.v1-n64{suffix}" for suffix in SUFFIXES),
    "device_seconds", "cpu_seconds", "flops",
    "speedup_steps", "speedup_steps.low", "speedup_steps.high",
    "speedup_seconds", "speedup_seconds.low", "speedup_seconds.high", "speedup_interval", "speedup_censored",
    "speedup_common_from", "speedup_common_to", "speedup_to_final", "speedup_to_final.low", "speedup_to_final.high",
    "speedup_to_final.interval", "speedup_to_final.censored", "speedup_target", "reason",
]  # fmt: skip


def tidy(source: Source, facts) -> pd.DataFrame:
    return compare(source, facts).table


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
    gains = {one.axis: one for one in speedups(three_seeds, "fd@x", "sit", ["repa"])}
    ratio, final = gains["steps"].ratio, gains["steps"].to_final
    assert (row["speedup_steps"], row["speedup_steps.low"]) == (ratio.value, ratio.low)
    assert row["speedup_seconds"] == gains["device_seconds"].ratio.value == pytest.approx(ratio.value / 2, rel=1e-6)
    assert (row["speedup_interval"], row["speedup_censored"], row["speedup_target"]) == ("t95", "", 11.0)
    assert (row["speedup_common_from"], row["speedup_common_to"]) == (gains["steps"].start, gains["steps"].end)
    assert row["speedup_to_final"] == final.value == pytest.approx(2.0)
    assert row["speedup_to_final.interval"] == "t95"


def test_a_row_holds_its_paired_difference_to_the_baseline_and_the_baseline_has_none(three_seeds, facts):
    table = tidy(three_seeds, facts)
    expected = difference(three_seeds, "fd@x.v1-n64", "repa", "sit", 200, "ode").over
    row = table.iloc[1]  # REPA, step 200
    assert row["fd@x.v1-n64.delta"] == expected.mean == -10.0
    assert (row["fd@x.v1-n64.delta.low"], row["fd@x.v1-n64.delta.high"]) == (expected.low, expected.high)
    assert row["fd@x.v1-n64.delta.interval"] == "t95"
    assert table.loc[table["method"] == "sit", "fd@x.v1-n64.delta"].isna().all()


def test_where_an_ablation_leaves_the_baseline_out_differences_are_to_its_first_method(make_source, facts):
    values = {(m, k): [4.0 + k + more] for m, more in (("sit", 0), ("repa", 1), ("reed", 3)) for k in range(3)}
    entry = facts["methods"]["repa"]
    facts["methods"] = {"repa": entry, "reed": {"label": "REED", "note": ""}}
    found = compare(make_source(values, steps=(100,)), facts)
    assert (found.against, found.label(found.against)) == ("repa", "REPA_x 50%")
    assert found.table.set_index("method").loc["reed", "fd@x.v1-n64.delta"] == 2.0


def test_a_censored_method_has_a_bound_and_its_reason(make_source, facts):
    runs = {(m, k): [value / (100 if m == "repa" and k else 1) for value in (4.0, 3.0, 2.0, 1.0)]
            for m in ("sit", "repa") for k in range(2)}  # fmt: skip
    row = tidy(make_source(runs), facts).iloc[0]
    assert row["speedup_steps"] == row["speedup_steps.low"] == pytest.approx(2.0)
    assert pd.isna(row["speedup_steps.high"])
    assert (row["speedup_interval"], row["speedup_censored"]) == ("bound", "> in 1 of 2 seeds")
    assert row["reason"].startswith("better at its first evaluation than the baseline ever gets in 1 of 2 seeds")


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


@pytest.mark.parametrize(
    ("name", "other"),
    [("sampling", "b" * 12), ("guidance", 2.0), ("precision", "bf16"), ("labels", "random")],
)
def test_one_sampler_under_two_settings_is_an_error(make_body, name, other):
    bodies = [make_body("sit"), make_body("repa")]
    sources.records(bodies)
    with pytest.raises(MetricError, match=rf"sampler ode: repa, step 100, was drawn with {name} {other}, and another"):
        sources.records([bodies[0], {**bodies[1], name: other}])
    sources.records([bodies[0], {**bodies[1], name: other, "sampler": "sde"}])


def test_the_protocol_of_a_sampler_stands_in_its_rows(three_seeds, facts):
    assert set(tidy(three_seeds, facts)["protocol"]) == {facts["protocols"]["ode"]}


def test_evaluations_that_were_counted_are_a_mean_over_seeds(make_source, facts):
    values = {(m, k): [4.0] for m in ("sit", "repa") for k in range(2)}
    source = make_source(values, steps=(100,))
    counted = source.metrics.assign(nfe=source.metrics["nfe"] + 0.25 * source.metrics["seed"])
    table = tidy(dataclasses.replace(source, metrics=counted), facts)
    assert table["nfe"].tolist() == [50.125, 50.125]
    assert tidy(source, facts)["nfe"].tolist() == [50, 50]


def test_a_missing_cell_is_named(three_seeds):
    with pytest.raises(MissingArtefact, match=r"no metrics for repa, seed 7, step 400, sampler ode \(1 of 2 cells"):
        three_seeds.only([("repa", 0, 400, "ode"), ("repa", 7, 400, "ode")])


def test_csv_keeps_full_precision_and_leaves_empty_what_does_not_apply(three_seeds, facts):
    table = pd.DataFrame({"a": [0.1 + 0.2, float("nan")], "b": ["x", None]})
    found = dataclasses.replace(compare(three_seeds, facts), table=table)
    assert as_csv(found) == "a,b\n0.30000000000000004,x\n,\n"
