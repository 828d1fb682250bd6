"""Samplers that draw from some methods only, and networks with guidance of their own: nothing is missing in silence."""

import dataclasses
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reedbench.report import figures, style
from reedbench.report.digest import digest
from reedbench.report.markup import latex, markdown
from reedbench.report.notes import notes
from reedbench.report.paired import differences
from reedbench.report.source import Source
from reedbench.report.speedup import speedups
from reedbench.report.tables import as_csv, compare, metric_ids

SIT = [40.0, 20.0, 12.0, 10.0]
REPA = [20.0, 10.0, 6.0, 5.0]
MG = [30.0, 14.0, 8.0, 6.0]
SEEDS = range(3)


def runs(method: str, values: list[float]) -> dict[tuple[str, int], list[float]]:
    return {(method, k): [value + k for value in values] for k in SEEDS}


def joined(ode: Source, guided: Source) -> Source:
    """Two sources under two samplers; what is of both is taken from the first."""
    second = guided.metrics[guided.metrics["method"] != "floor"].assign(sampler="guided")
    new = guided.curves[~guided.curves["method"].isin(ode.curves["method"])]
    return Source(
        pd.concat([ode.metrics, second], ignore_index=True),
        pd.concat([ode.curves, new], ignore_index=True),
        {**guided.preview, **ode.preview},
    )


def built_in(source: Source, method: str = "mg", by: str = "built-in") -> Source:
    own = source.metrics["method"] == method
    metrics = source.metrics.assign(guided_by=None, nfe=source.metrics["nfe"].where(own, 100))
    metrics.loc[own, "guided_by"] = by
    return dataclasses.replace(source, metrics=metrics)


@pytest.fixture
def apart(make_source) -> Source:
    """SiT under both samplers, REPA under ode alone, MG, whose guidance is built in, under guided alone."""
    ode = make_source({**runs("sit", SIT), **runs("repa", REPA)})
    guided = make_source({**runs("sit", [value - 1 for value in SIT]), **runs("mg", MG)})
    return joined(ode, built_in(guided))


@pytest.fixture
def alone(make_source) -> Source:
    """The baseline and REPA under ode, MG alone under guided."""
    return joined(make_source({**runs("sit", SIT), **runs("repa", REPA)}), built_in(make_source(runs("mg", MG))))


@pytest.fixture
def words(facts) -> dict[str, Any]:
    methods = {"sit": "SiT", "repa": "REPA", "mg": "MG"}
    return {
        **facts,
        "methods": {name: {"label": label, "note": ""} for name, label in methods.items()},
        "places": {name: i for i, name in enumerate(methods)},
        "protocols": {"ode": "euler steps=50", "guided": "euler steps=50"},
        "shown_by": {"sit": "ode", "repa": "ode", "mg": "guided"},
    }


def test_every_method_is_compared_under_each_sampler_that_both_have(apart, words):
    found = differences(apart, metric_ids(apart, words["metrics"]), list(words["methods"]), "sit")
    assert {(one.method, one.sampler) for one in found} == {("repa", "ode"), ("mg", "guided")}
    assert {one.over.mean for one in found if one.family == "fd@x" and one.step == 400} == {-5.0, 6.0 - 9.0}
    gains = {(one.method, one.sampler): one for one in speedups(apart, "fd@x", "sit", list(words["methods"]))
             if one.axis == "steps"}  # fmt: skip
    assert gains["repa", "ode"].ratio.value > 1
    assert gains["mg", "guided"].ratio.value > 1
    assert gains["mg", "ode"].reason == "not drawn by ode"
    assert gains["repa", "guided"].reason == "not drawn by guided"
    assert gains["mg", "guided"].target == pytest.approx(10.0)


def test_the_table_says_where_guidance_comes_from_and_what_was_not_drawn(apart, words):
    found = compare(apart, words)
    shown, lines = digest(found), notes(found)
    assert shown.columns[:5] == ("method", "step", "sampler", "guidance", "NFE")
    assert {row[:5] for row in shown.rows} == {
        ("SiT", "400", "ode", "1.5", "50"),
        ("SiT", "400", "guided", "1.5", "100"),
        ("REPA", "400", "ode", "1.5", "50"),
        ("MG", "400", "guided", "1.5 (built in)", "50"),
    }
    assert all("–" not in row[5:7] for row in shown.differences)
    assert "MG: not drawn by ode." in lines
    assert "REPA: not drawn by guided." in lines
    (said,) = [line for line in lines if line.startswith("Sampler guided:")]
    assert said == (
        "Sampler guided: euler steps=50; guidance 1.5; 100 network evaluations, "
        "50 network evaluations for MG (guidance built in)."
    )
    assert not any("no seed in common" in line or line.startswith("MG with ode") for line in lines)
    assert "1.5 (built in)" in markdown(shown, "T", lines).replace("\\", "")
    assert "1.5 (built in)" in latex(shown, lines)
    table = pd.read_csv(StringIO(as_csv(found)))
    own = table[table["method"].isin(words["methods"])]
    assert dict(zip(own["method"], own["guided_by"], strict=True)) == {"sit": "pair", "repa": "pair", "mg": "built-in"}
    assert (own["guidance"] == 1.5).all()


def test_a_network_that_reads_its_scale_is_said_to(apart, words):
    found = compare(built_in(apart, by="input"), words)
    assert "1.5 (read by the network)" in {row[3] for row in digest(found).rows}


def test_without_such_methods_a_table_is_as_it_was(three_seeds, facts):
    found = compare(three_seeds, facts)
    assert "guidance" not in digest(found).columns
    assert "guided_by" not in three_seeds.metrics
    assert set(found.table["guided_by"]) == {"pair"}
    assert not any("not drawn" in line for line in notes(found))


def test_a_sampler_without_the_baseline_says_so(alone, words):
    found = compare(alone, words)
    lines = notes(found)
    assert "With guided there are no speed-ups: SiT is not drawn by it." in lines
    assert "SiT, REPA: not drawn by guided." in lines
    assert found.gain("mg", "guided", "steps").reason == "the baseline is not drawn by guided"
    row = found.table[found.table["method"] == "mg"].iloc[-1]
    assert row["reason"] == "the baseline is not drawn by guided"
    assert pd.isna(row["fd@x.v1-n64.delta"])
    assert any(line.startswith("To SiT's final value (mean 11 with ode):") for line in lines)


def texts(figure: Any) -> str:
    found = [text.get_text().replace("\n", " ") for text in figure.findobj(lambda x: hasattr(x, "get_parse_math"))]
    return " | ".join(found)


@pytest.mark.parametrize("which", ["apart", "alone"])
@pytest.mark.parametrize("name", ["speedup", "differences", "samples", "alignment"])
def test_all_figures_are_drawn_and_say_what_is_missing(request, words, tmp_path, monkeypatch, which, name):
    source, saved = request.getfixturevalue(which), []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (saved.append(texts(figure)), save(figure, *rest))[1])
    files = figures.draw(name, source, words, tmp_path / name)
    assert all(Path(file).exists() for file in files)
    (said,) = saved
    if name == "samples":
        assert "sampler ode (MG: guided)" in said
        assert said.count("MG") > 1
    elif name != "alignment":
        assert "MG: not drawn by ode" in said
        assert "REPA: not drawn by guided" in said


def test_the_sampler_of_pictures_is_said_where_not_all_that_it_drew_was_scored(apart, words, tmp_path, monkeypatch):
    saved = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (saved.append(texts(figure)), save(figure, *rest))[1])
    rows = apart.metrics
    lost = (rows["method"] == "sit") & (rows["sampler"] == "ode") & (rows["step"] == 100)
    figures.draw("samples", dataclasses.replace(apart, metrics=rows[~lost]), words, tmp_path / "x")
    assert "sampler ode (MG: guided)" in saved[0]


def test_no_final_value_is_announced_where_there_is_none(alone, words, tmp_path, monkeypatch):
    saved = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (saved.append(texts(figure)), save(figure, *rest))[1])
    figures.draw("speedup", alone, words, tmp_path / "x")
    assert saved[0].count("SiT's final value") == 1
    assert "MG: no speed-up: the baseline is not drawn by guided" in saved[0]


@pytest.mark.parametrize("name", ["levels", "distributions"])
def test_figures_of_single_numbers_and_times_cope_too(apart, words, tmp_path, monkeypatch, name):
    texts_of, saved = texts, []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (saved.append(texts_of(figure)), save(figure, *rest))[1])
    quantiles = '{"n": 60, "of": 64, "quantiles": [0, 1, 2, 3]}'
    metrics = apart.metrics.assign(values=quantiles)
    if name == "levels":
        metrics = metrics.assign(family=metrics["family"].replace({"fd@x": "fd@0.5", "accuracy@x": "fd@0.75"}))
        distance = words["titles"]["fd@x"]
        titles = {f"fd@{at}": {**distance, "title": f"distance, t {at}"} for at in ("0.5", "0.75")}
        words = {**words, "metrics": list(titles), "titles": titles}
    figures.draw(name, dataclasses.replace(apart, metrics=metrics), words, tmp_path / name)
    assert "MG: not drawn by ode" in saved[0]
