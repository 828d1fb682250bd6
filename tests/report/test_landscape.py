"""Quality against cost: a mark per method where its costs are, and a second panel where samplers differ in theirs."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.core.errors import MetricError
from reedbench.report import figures, panels, style
from reedbench.report.figures import landscape
from reedbench.report.intervals import interval
from reedbench.report.source import ORIGIN, Source


@pytest.fixture
def drawn(monkeypatch) -> list:
    """Figures as they are saved."""
    found: list = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (found.append(figure), save(figure, *rest))[1])
    return found


def axes_of(figure: Any) -> list:
    return [axis for axis in figure.axes if axis.axison]


def words_of(figure: Any) -> list[str]:
    (legend,) = figure.subfigs[0].legends
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()]


def with_sampler(source: Source, name: str, nfe: float, more: float, *methods: str) -> Source:
    """A further sampler that draws from some methods, with so many evaluations, to values larger by `more`."""
    own = source.metrics[source.metrics["method"].isin(methods)]
    copy = own.assign(sampler=name, nfe=nfe, value=own["value"] + more)
    return dataclasses.replace(source, metrics=pd.concat([source.metrics, copy], ignore_index=True))


def test_the_numbers_are_the_last_step_with_what_was_prepared_once(three_seeds, facts, tmp_path, drawn):
    numbers = pd.read_csv(figures.draw("landscape", three_seeds, facts, tmp_path / "l")[-1]).set_index("method")
    row, over = numbers.loc["repa"], interval([5.0, 6.0, 7.0])
    assert (row["step"], row["value"], row["nfe"], row["sampler"]) == (400, 6.0, 50, "ode")
    assert row["flops"] == 400 * 2e6 + 100 * 1e6  # its steps cost twice; once it took as much as a hundred
    assert (row["low"], row["high"]) == pytest.approx((over.low, over.high))
    assert numbers.loc["sit", "flops"] == 4e8
    (axis,) = axes_of(drawn[0])
    assert axis.get_xscale() == "log"
    assert axis.get_ylabel() == "Frechet distance, x\nlower is better"
    assert axis.get_xlabel() == "training compute, one-off work included (MFLOP)\n\N{LEFTWARDS ARROW} cheaper"


def test_an_old_cache_without_what_was_prepared_once_is_drawn(three_seeds, facts, tmp_path):
    curves = three_seeds.curves.drop(columns=["oneoff_flops"])
    source = dataclasses.replace(three_seeds, curves=curves)
    numbers = pd.read_csv(figures.draw("landscape", source, facts, tmp_path / "l")[-1]).set_index("method")
    assert numbers.loc["repa", "flops"] == 8e8


def test_the_legend_has_the_best_first_and_names_the_baseline(three_seeds, facts, tmp_path, drawn):
    figures.draw("landscape", three_seeds, facts, tmp_path / "l")
    assert words_of(drawn[0]) == [
        "REPA_x 50%: 6.00, 2.25x compute",
        "SiT: 11.00, baseline",
        "through SiT, the baseline (black rim)",
        "bars: 95 % t interval over 3 seeds",
        "over compute, near bars stand side by side",
    ]
    sizes = {
        line.get_color(): line.get_markersize() for line in axes_of(drawn[0])[0].lines if line.get_marker() != "None"
    }
    assert sizes[style.look(0).colour] > sizes[style.look(1).colour]  # the baseline's is the larger


def test_higher_may_be_better(make_source, facts, tmp_path, drawn):
    values = {("sit", 0): [0.1, 0.2, 0.3, 0.4], ("repa", 0): [0.2, 0.4, 0.5, 0.6]}
    facts["titles"]["fd@x"]["direction"] = "higher"
    figures.draw("landscape", make_source(values, direction="higher"), {**facts, "seeds": [0]}, tmp_path / "l")
    assert [words.split(":")[0] for words in words_of(drawn[0])[:2]] == ["REPA_x 50%", "SiT"]
    assert axes_of(drawn[0])[0].get_yscale() == "linear"
    assert not any("interval" in words for words in words_of(drawn[0]))  # one seed has none


def test_samplers_of_other_evaluations_have_a_second_panel(three_seeds, facts, tmp_path, drawn):
    source = with_sampler(three_seeds, "few", 4, 20.0, "repa")
    facts["protocols"] = {"ode": "", "few": ""}
    numbers = pd.read_csv(figures.draw("landscape", source, facts, tmp_path / "l")[-1])
    assert sorted(numbers.loc[numbers["method"] == "repa", "nfe"]) == [4, 50]
    assert set(numbers.loc[numbers["sampler"] == "few", "panels"]) == {"evaluations"}
    _, right = axes_of(drawn[0])
    assert right.get_xlabel().startswith("network evaluations per sample")
    joined = [list(line.get_xdata()) for line in right.lines]
    assert [4, 50] in joined
    assert "over evaluations, a method's samplers are joined" in words_of(drawn[0])


def test_samplers_that_differ_little_have_none(three_seeds, facts, tmp_path, drawn):
    figures.draw("landscape", with_sampler(three_seeds, "near", 55, 0.0, "repa"), facts, tmp_path / "l")
    assert len(axes_of(drawn[0])) == 1


def test_a_method_that_another_sampler_draws_from_stands_under_that_one(three_seeds, facts, tmp_path, drawn):
    metrics = three_seeds.metrics.copy()
    metrics.loc[metrics["method"] == "repa", ["sampler", "nfe"]] = ["few", 4]
    facts["protocols"] = {"ode": "", "few": ""}
    figures.draw("landscape", dataclasses.replace(three_seeds, metrics=metrics), facts, tmp_path / "l")
    assert any(words.startswith(("REPA_x 50%, few: ", "SiT, ode: ")) for words in words_of(drawn[0]))


def test_rows_that_all_take_the_usual_evaluations_stay_out_of_the_second_panel(make_source, facts, tmp_path):
    def point(method: str, nfe: float, sampler: str = "ode", first: bool = True) -> landscape._Point:
        return landscape._Point(method, sampler, 1, interval([1.0]), nfe, 1.0, first=first)

    points = [point("sit", 50), point("a", 50), point("b", 50), point("b", 4, "few", False), point("c", 8)]
    assert [(one.method, one.nfe) for one in landscape._others(points, "sit")] == [
        ("sit", 50), ("b", 50), ("b", 4), ("c", 8)
    ]  # fmt: skip


def guided(source: Source, by: str, nfe: float, *methods: str) -> Source:
    """A sampler with guidance 1.5 that draws from some methods, of which the last one guides itself."""
    more = with_sampler(source, "guided", nfe, -2.0, *methods)
    metrics = more.metrics.assign(guided_by=None)
    own = metrics["sampler"] == "guided"
    metrics["guidance"] = np.where(own, 1.5, 1.0)
    metrics.loc[own & (metrics["method"] == methods[-1]), ["guided_by", "nfe"]] = [by, nfe / 2]
    return dataclasses.replace(more, metrics=metrics)


def test_rows_with_guidance_and_without_are_not_set_against_each_other(three_seeds, facts, tmp_path, drawn):
    facts["protocols"] = {"ode": "", "guided": ""}
    source = guided(three_seeds, "built-in", 100, "sit", "repa")
    numbers = pd.read_csv(figures.draw("landscape", source, facts, tmp_path / "l")[-1])
    assert set(numbers["panels"]) == {"both"}  # each is the first of its kind
    left, right, _ = axes_of(drawn[0])
    assert [axis.get_title() for axis in (left, right)] == ["without guidance", "with guidance"]
    levels = [
        {float(line.get_ydata()[0]) for line in axis.lines if len(line.get_ydata()) == 1} for axis in (left, right)
    ]
    assert levels == [{11.0, 6.0}, {9.0, 4.0}]
    assert "SiT: 11.00 / 9.00, baseline" in words_of(drawn[0])


def test_what_guides_itself_stands_beside_the_guided_baseline_over_evaluations(three_seeds, facts, tmp_path, drawn):
    facts["protocols"] = {"ode": "", "guided": ""}
    source = guided(three_seeds, "built-in", 100, "sit", "repa")
    source = dataclasses.replace(
        source, metrics=source.metrics[(source.metrics["method"] == "sit") | (source.metrics["sampler"] == "guided")]
    )
    figures.draw("landscape", source, facts, tmp_path / "l")
    *_, below = axes_of(drawn[0])
    marks = {(float(x), float(y)) for line in below.lines if len(x_y := line.get_xydata()) == 1 for x, y in x_y}
    assert marks == {(50.0, 11.0), (100.0, 9.0), (50.0, 4.0)}
    assert "REPA_x 50%: – / 4.00, 2.25x compute" in words_of(drawn[0])


def test_imported_weights_are_a_level_as_their_cost_is_not_known(three_seeds, facts, tmp_path, drawn):
    own = three_seeds.curves["method"] == "repa"
    curves = three_seeds.curves.assign(**{ORIGIN: np.where(own, "x.pt", None)})
    curves.loc[own, ["flops", "oneoff_flops"]] = np.nan
    source = dataclasses.replace(three_seeds, curves=curves)
    numbers = pd.read_csv(figures.draw("landscape", source, facts, tmp_path / "l")[-1]).set_index("method")
    assert np.isnan(numbers.loc["repa", "flops"])
    assert "REPA_x 50%: 6.00, imported" in words_of(drawn[0])


def test_a_method_without_a_value_is_said_to_have_none(three_seeds, lose, facts, tmp_path, drawn):
    source = lose(three_seeds, "no samples", method="repa", step=400, seed=1)
    figures.draw("landscape", source, facts, tmp_path / "l")
    assert "REPA_x 50%: –, 2.25x compute" in words_of(drawn[0])


def test_a_metric_without_records_is_one_line(three_seeds, facts, tmp_path):
    speedup = {"metric": "kd@x", "baseline": "sit"}
    with pytest.raises(MetricError, match="b: no record of kd@x"):
        figures.draw("landscape", three_seeds, {**facts, "speedup": speedup}, tmp_path / "l")


@pytest.mark.parametrize("at", [[], [3.0], [5.0] * 7, [1.0, 1.0, 2.0, 2.001, 9.0], [1.0, 1.001, 1.002, 1.5, 40.0]])
def test_bars_stand_apart_in_their_order_and_around_where_they_belong(at):
    wide = 10.0
    places = landscape._side_by_side(at, wide)
    logs, span = np.log(places), max(np.ptp(np.log(at)) if at else 0.0, np.log(panels.APART))
    assert len(places) == len(at)
    assert (np.diff(logs) >= landscape.BESIDE / wide * span * (1 - 1e-9)).all()
    assert logs.sum() == pytest.approx(np.log(at).sum())
