"""Numbers on the page of a run: thinned curves, metrics by step, costs by phase."""

import pandas as pd

from reedbench.report import run_card
from reedbench.report.bibliography import plain
from reedbench.report.run_card import Phase


def cells(line: str) -> list[str]:
    """Of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def curve_of(n: int) -> pd.DataFrame:
    """n rows, ten steps apart."""
    steps = [10 * (i + 1) for i in range(n)]
    return pd.DataFrame(
        {"step": steps, "samples_seen": steps, "denoise": [1 / s for s in steps], "samples_per_second": 1.0,
         "mfu": float("nan"), "device_seconds": steps, "cpu_seconds": steps, "flops": [1e9 * s for s in steps]}
    )  # fmt: skip


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    lines = run_card.curve(curve_of(1000))
    steps = [int(cells(line)[0]) for line in lines[2:]]
    assert (steps[0], steps[-1], len(steps)) == (10, 10_000, run_card.ROWS)
    assert cells(lines[0]) == ["step", r"samples\_seen", "denoise", r"device\_seconds", r"cpu\_seconds", "flops"]
    assert cells(lines[2])[2] == "0.1"


def test_a_short_curve_is_shown_whole():
    assert [int(cells(line)[0]) for line in run_card.curve(curve_of(3))[2:]] == [10, 20, 30]
    assert len(run_card.curve(curve_of(1))) == 3


def record(value, **more):
    """Of one metric."""
    return {"family": "fd@x", "metric": "fd@x.v1-n64", "value": value, "n": 64, "unit": "", "direction": "lower",
            "spread": {"kind": "none", "reason": "1 stream"}, **more}  # fmt: skip


def test_metrics_stand_by_step_with_their_spread_at_the_last():
    spread = {"kind": "std-of-streams", "std": 0.125, "streams": 4}
    bodies = {20: {"records": [record(0.5, spread=spread)]}, 10: {"records": [record(2.0)]}}
    heads, _, row = run_card.metrics(bodies, {"fd@x": "Frechet distance"})
    assert cells(heads)[2:4] == ["step 10", "step 20"]
    assert cells(row) == ["Frechet distance ↓", "fd@x.v1-n64", "2", "0.5", "0.12", "64"]


def test_a_value_that_is_not_there_has_its_reason_below():
    lines = run_card.metrics({10: {"records": [record(None, reason="no folder")]}}, {})
    assert cells(lines[2])[2] == "-"
    assert lines[-1] == "- fd@x has no value: no folder"


def test_costs_are_sums_and_what_is_not_known_is_no_zero():
    done = [{"device_seconds": 1.0, "cpu_seconds": 2.0, "seconds": 3.0, "max_rss_mb": 10},
            {"device_seconds": 1.5, "cpu_seconds": 2.0, "seconds": 3.0, "max_rss_mb": 30}]  # fmt: skip
    rows = run_card.costs([Phase("a", 3, done, 1e12), Phase("b", 2), Phase("c", 1, [{"cpu_seconds": None}])])[2:]
    assert cells(rows[0]) == ["a", "2 of 3", "2.5", "4", "6", "30", "1e+12"]
    assert cells(rows[1]) == ["b", "0 of 2", "-", "-", "-", "-", "-"]
    assert cells(rows[2]) == ["c", "1 of 1", "-", "-", "-", "0", "-"]


def test_accents_are_letters():
    assert plain(r"Kynk{\"a}{\"a}nniemi, {\'E}. M{\"{u}}ller, Bi{\'n}kowski, Miko{\l}aj {SiT}") == (
        "Kynkäänniemi, É. Müller, Bińkowski, Mikołaj SiT"
    )
