"""The figure of numbers that single samples have, from records that are made up; and what tables say of them."""

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.core import io
from reedbench.core.errors import MetricError
from reedbench.report import figures, markup, style
from reedbench.report import source as sources
from reedbench.report.digest import digest
from reedbench.report.figures import distributions
from reedbench.report.notes import notes
from reedbench.report.source import Source
from reedbench.report.tables import as_csv, compare

STRAIN, ENERGY = "strain@molecule", "energy@molecule"


def record(family: str, values: Any, of: int | None = None, **more: Any) -> dict[str, Any]:
    values = np.asarray(values, np.float64)
    quantiles = np.quantile(values, np.linspace(0, 1, 101)).tolist()
    return {
        "metric": f"{family}.v1-n{of or len(values)}", "family": family, "value": float(values.mean()),
        "n": of or len(values), "unit": "kcal/mol", "direction": "lower", "version": 1, "protocol": {},
        "spread": {"kind": "none", "reason": "1 stream"},
        "values": {"quantiles": quantiles, "n": len(values), "of": of or len(values)}, **more,
    }  # fmt: skip


def made(strains: dict[tuple[str, int, int], Any], real: Any = None, **more: Any) -> Source:
    """Strains by method, seed and step; energies are normal around 50."""
    rng, bodies = np.random.default_rng(0), []
    for (method, seed, step), values in strains.items():
        found = [record(STRAIN, values, **more), record(ENERGY, rng.normal(50, 20, 400))]
        cell = {"benchmark": "b", "method": method, "seed": seed, "step": step, "sampler": "ode", "weights": "ema"}
        bodies.append({**cell, "nfe": 50, "guidance": 1.0, "records": found})
    if real is not None:
        bodies.append({"benchmark": "b", "method": "floor", "records": [record(STRAIN, real, what="real test data")]})
    return Source(sources.records(bodies), pd.DataFrame(), {})


@pytest.fixture
def words(facts) -> dict[str, Any]:
    titles = {
        name: {"title": title, "direction": "lower", "unit": "kcal/mol"}
        for name, title in ((STRAIN, "MMFF94 strain, per molecule"), (ENERGY, "MMFF94 energy, per molecule"))
    }
    return {**facts, "metrics": ["accuracy@x", STRAIN, ENERGY], "titles": {**facts["titles"], **titles}}


@pytest.fixture
def strained() -> Source:
    """REED's samples of the last step are less strained than SiT's; both were worse before."""
    rng = np.random.default_rng(1)
    scales = {("sit", 100): 60, ("sit", 200): 30, ("repa", 100): 40, ("repa", 200): 10}
    values = {(m, seed, step): rng.gamma(3, scale / 3, 400) for (m, step), scale in scales.items() for seed in range(3)}
    return made(values, real=rng.gamma(3, 1, 400))


def numbers(stem: Path) -> list[dict[str, str]]:
    with open(f"{stem}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_panel_per_metric_with_the_last_step_of_every_method_and_real_data(
    strained, words, tmp_path, monkeypatch
):
    found = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (found.append(figure), save(figure, *rest))[1])
    figures.draw("distributions", strained, words, tmp_path / "d")
    (figure,) = found
    assert [axis.get_xlabel() for axis in figure.axes] == [
        "MMFF94 strain, per molecule (kcal/mol)", "MMFF94 energy, per molecule (kcal/mol)",
    ]  # fmt: skip
    assert [len(axis.lines) for axis in figure.axes] == [3, 2]  # of energies real data say nothing
    assert "step 200" in figure._suptitle.get_text()
    texts = [text.get_text() for part in figure.subfigs for legend in part.legends for text in legend.get_texts()]
    assert "real test data (n = 400); cut where above the axis" in texts


def test_the_numbers_are_shares_between_limits(strained, words, tmp_path):
    figures.draw("distributions", strained, words, tmp_path / "d")
    rows = [row for row in numbers(tmp_path / "d") if row["metric"] == STRAIN]
    for method, mean in (("sit", 30), ("repa", 10), ("floor", 3)):
        own = [row for row in rows if row["method"] == method]
        shares = np.array([float(row["share"]) for row in own])
        middles = np.array([(float(row["from"]) + float(row["to"])) / 2 for row in own])
        assert len(own) == distributions.BINS
        assert 0.9 < shares.sum() <= 1 + 1e-9
        assert (shares * middles).sum() / shares.sum() == pytest.approx(mean, rel=0.15)
    assert {row["n"] for row in rows} == {"1200", "400"}


def test_it_has_the_same_bytes_at_any_time(strained, words, tmp_path, monkeypatch):
    made_at = []
    for run, now in (("one", "1000000000"), ("two", "2000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", now)
        made_at.append(figures.draw("distributions", strained, words, tmp_path / run / "d"))
    assert [io.sha256(file) for file in made_at[0]] == [io.sha256(file) for file in made_at[1]]


@pytest.mark.parametrize(
    "values",
    [np.full(50, 3.0), np.zeros(50), np.r_[np.full(49, 2.0), 1e9], -np.r_[1.0:50.0, 1e6], [5.0]],
    ids=["equal", "zero", "outlier", "negative", "one"],
)
def test_odd_distributions_are_drawn_and_keep_all_samples_that_are_shown(words, tmp_path, values):
    source = made({("sit", 0, 100): values, ("repa", 0, 100): np.linspace(1, 3, 50)})
    figures.draw("distributions", source, {**words, "seeds": [0]}, tmp_path / "d")
    rows = [row for row in numbers(tmp_path / "d") if row["metric"] == STRAIN]
    shares = {m: sum(float(row["share"]) for row in rows if row["method"] == m) for m in ("sit", "repa")}
    assert shares["repa"] > 0.9
    assert 0.9 < shares["sit"] <= 1 + 1e-9


def test_where_no_sample_has_a_value_real_data_are_drawn_alone(strained, words, tmp_path):
    own = (strained.metrics["method"] != "floor") & (strained.metrics["family"] == STRAIN)
    lost = strained.metrics.assign(values=strained.metrics["values"].mask(own, None))
    figures.draw("distributions", dataclasses.replace(strained, metrics=lost), words, tmp_path / "d")
    assert {row["method"] for row in numbers(tmp_path / "d") if row["metric"] == STRAIN} == {"floor"}
    assert {row["method"] for row in numbers(tmp_path / "d") if row["metric"] == ENERGY} == {"sit", "repa"}


def test_a_narrow_distribution_beside_a_wide_one_bends_the_axis():
    linear, width = distributions._limits([np.linspace(0, 10, 101), np.linspace(5, 20, 101)])
    assert width is None
    np.testing.assert_allclose(np.diff(linear), np.diff(linear)[0])
    bent, width = distributions._limits([np.linspace(0, 1, 101), np.linspace(-40, 400, 101)])
    assert width == pytest.approx(0.5)
    assert (np.diff(bent) > 0).all()
    assert np.diff(bent).max() > 100 * np.diff(bent).min()
    ticks = distributions._ticks(bent, width)
    assert {0, 10, 100} <= set(ticks)
    assert 3 < len(ticks) < 10


def test_real_data_that_are_all_alike_flatten_nothing(words, tmp_path, monkeypatch):
    found = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (found.append(figure), save(figure, *rest))[1])
    values = np.random.default_rng(0).gamma(3, 5, 400)
    source = made({("sit", 0, 100): values, ("repa", 0, 100): values}, real=np.full(400, 1e-7))
    figures.draw("distributions", source, {**words, "seeds": [0]}, tmp_path / "d")
    highest = max(float(row["share"]) for row in numbers(tmp_path / "d") if row["method"] == "sit")
    assert max(float(row["share"]) for row in numbers(tmp_path / "d") if row["method"] == "floor") == pytest.approx(1)
    assert found[0].axes[0].get_ylim()[1] < 3.1 * highest


def test_without_numbers_of_samples_there_is_no_such_figure(three_seeds, facts, tmp_path):
    with pytest.raises(MetricError, match="no metric has numbers of single samples"):
        figures.draw("distributions", three_seeds, facts, tmp_path / "d")


def test_values_are_texts_in_the_table_of_records_and_survive_parquet(strained, tmp_path):
    assert len(json.loads(strained.metrics["values"].iloc[0])["quantiles"]) == 101
    strained.metrics.to_parquet(tmp_path / "m.parquet", index=False)
    again = pd.read_parquet(tmp_path / "m.parquet")
    assert again["values"].tolist() == strained.metrics["values"].tolist()


# Tables


def test_what_stands_beside_the_results_under_the_same_ids_is_a_row(three_seeds, facts):
    assert digest(compare(three_seeds, facts)).limits == ()  # halves, under other ids
    floor = three_seeds.metrics[three_seeds.metrics["method"] == "floor"]
    ids = {"fd@x": "fd@x.v1-n64", "accuracy@x": "accuracy@x.v1-n64"}
    real = [floor.assign(metric=name, family=of, value=value, what="real test data")
            for (of, name), value in zip(ids.items(), (0.125, 0.875), strict=True)]  # fmt: skip
    few = [floor.assign(metric=ids["fd@x"], value=9.0, what="network before training")]
    source = dataclasses.replace(three_seeds, metrics=pd.concat([three_seeds.metrics, *real, *few], ignore_index=True))
    compared = compare(source, facts)
    found = digest(compared)
    ((head, step, fd, accuracy, *rest),) = found.limits
    assert (head, step, fd, accuracy, set(rest)) == ("real test data", "–", "0.125", "0.875", {"–"})
    assert len(found.limits[0]) == len(found.columns)
    (row,) = (line for line in markup.markdown(found, "T", []).splitlines() if "real test data" in line)
    assert row.startswith("| real test data | – | 0.125 | 0.875 |")
    assert r"real test data & -- & 0.125 & 0.875" in markup.latex(found, [])
    *methods, last = csv.DictReader(as_csv(compared).splitlines())
    filled = {name: word for name, word in last.items() if word}
    assert filled == {
        "benchmark": "b", "domain": "image", "method": "real test data", "label": "real test data", "weights": "data",
        "fd@x.v1-n64": "0.125", "fd@x.v1-n64.interval": "none",
        "accuracy@x.v1-n64": "0.875", "accuracy@x.v1-n64.interval": "none",
    }  # fmt: skip
    assert methods == list(csv.DictReader(as_csv(compare(three_seeds, facts)).splitlines()))


def test_a_row_is_there_for_most_of_the_columns_that_are_shown(three_seeds, facts):
    floor = three_seeds.metrics[three_seeds.metrics["method"] == "floor"]
    real = floor.assign(metric="fd@x.v1-n64", family="fd@x", value=0.125, what="real test data")
    source = dataclasses.replace(three_seeds, metrics=pd.concat([three_seeds.metrics, real], ignore_index=True))
    for columns, expected in ((["fd@x"], 1), (["accuracy@x"], 0)):
        compared = compare(source, {**facts, "columns": columns})
        assert as_csv(compared).count("real test data,real test data") == len(digest(compared).limits) == expected


def test_notes_say_of_how_many_samples_means_are(three_seeds, facts):
    assert not any("samples that have a value" in line for line in notes(compare(three_seeds, facts)))
    last = three_seeds.metrics["step"] == 400
    some = json.dumps({"quantiles": [0.0] * 101, "n": 48, "of": 64})
    valued = three_seeds.metrics.assign(values=np.where(last & (three_seeds.metrics["family"] == "fd@x"), some, None))
    lines = notes(compare(dataclasses.replace(three_seeds, metrics=valued), facts))
    assert "Means over those samples that have a value (share at the last step, all runs): fd@x 75.0%." in lines


def test_a_limit_without_a_value_is_said_and_not_shown(three_seeds, facts, lose):
    source = lose(three_seeds, "no sample is a valid molecule", method="floor")
    assert source.floor.empty
    assert "fd@x was not measured on real data: no sample is a valid molecule." in notes(compare(source, facts))
