"""Every figure leaves the same bytes each time, and the numbers that it shows beside them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reedbench.core import io
from reedbench.core.errors import MetricError
from reedbench.report import style
from reedbench.report.figures import FIGURES
from reedbench.report.intervals import interval
from reedbench.report.source import Source
from reedbench.schema import versions


def test_every_declared_figure_can_be_drawn():
    assert tuple(FIGURES) == versions.FIGURES


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "levels"])
def test_a_figure_is_three_pictures_and_their_numbers_with_the_same_bytes_at_any_time(
    three_seeds, facts, tmp_path, monkeypatch, name
):
    runs = []
    for run, now in (("one", "1000000000"), ("two", "2000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", now)  # what matplotlib takes for the time
        runs.append(FIGURES[name](three_seeds, facts, tmp_path / run / name))
    assert runs[0] == [str(tmp_path / "one" / f"{name}{suffix}") for suffix in (".pdf", ".svg", ".png", ".csv")]
    for one, two in zip(*runs, strict=True):
        assert io.sha256(one) == io.sha256(two), Path(one).suffix
    heads = [Path(file).read_bytes()[:5] for file in runs[0][:3]]
    assert heads == [b"%PDF-", b"<?xml", b"\x89PNG\r"]


def test_a_figure_written_again_is_whole_and_alone(three_seeds, facts, tmp_path):
    for _ in range(2):
        FIGURES["alignment"](three_seeds, facts, tmp_path / "a")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.pdf", "a.png", "a.svg"]


def test_the_numbers_of_the_speedup_figure_are_its_curves_marks_and_all_axes(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(FIGURES["speedup"](three_seeds, facts, tmp_path / "s")[-1])
    curve = numbers[(numbers["kind"] == "curve") & (numbers["method"] == "repa")]
    assert curve["step"].tolist() == [100, 200, 300, 400]
    assert curve["value"].tolist() == [21.0, 11.0, 7.0, 6.0]
    assert set(curve["interval"]) == {"t95"}
    (mark,) = numbers[numbers["kind"] == "mark"].to_dict("records")
    assert (mark["method"], mark["step"], mark["value"]) == ("repa", pytest.approx(200.0), 11.0)
    gains = numbers[(numbers["kind"] == "speedup") & (numbers["method"] == "repa")].set_index("axis")["value"]
    assert set(gains.index) == {"steps", "samples", "device_seconds", "flops", "device_seconds+oneoff", "flops+oneoff"}
    assert gains["device_seconds+oneoff"] == pytest.approx(800 / 900)


def test_the_numbers_of_the_alignment_figure_are_means_over_seeds(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(FIGURES["alignment"](three_seeds, facts, tmp_path / "a")[-1])
    assert set(map(tuple, numbers[["method", "term"]].drop_duplicates().to_numpy())) == {
        ("sit", "denoise"), ("repa", "denoise"), ("repa", "patches@1")
    }  # fmt: skip
    cosine = numbers[numbers["term"] == "patches@1"].set_index("step")["value"]
    assert cosine[200] == pytest.approx(0.2)  # the loss is the negative cosine


def test_the_numbers_of_the_samples_figure_are_the_pixels(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(FIGURES["samples"](three_seeds, facts, tmp_path / "p")[-1])
    assert len(numbers) == 2 * 4 * 6
    (row,) = numbers[(numbers["method"] == "repa") & (numbers["step"] == 300) & (numbers["sample"] == 5)]["pixels"]
    assert [int(pixel) for pixel in row.split()] == three_seeds.preview["repa/300"][5].reshape(-1).tolist()


def test_a_figure_without_floor_or_alignment_can_be_drawn(make_source, facts, tmp_path):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]}, floor=False)
    facts["methods"] = {"sit": {"label": "SiT", "note": ""}}
    for name, draw in FIGURES.items():
        if name != "levels":
            assert all(Path(file).stat().st_size for file in draw(source, facts, tmp_path / name))


@pytest.fixture
def drawn(monkeypatch) -> list:
    """Figures as they are saved."""
    figures: list = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (figures.append(figure), save(figure, *rest))[1])
    return figures


def at_times(source: Source, samplers: dict[str, float]) -> Source:
    """`fd@x` as a metric that is taken at two times, under samplers that add so much to it."""
    own = source.metrics[source.metrics["family"] == "fd@x"]
    copies = []
    for name, more in samplers.items():
        for time in (0.75, 0.25):
            copy = own.assign(family=f"fd@{time}", metric=f"fd@{time}.v1-n64", value=own["value"] + more + time)
            copies.append(copy.assign(sampler=name).mask(copy["method"] == "floor", copy))
    return dataclasses.replace(source, metrics=pd.concat(copies, ignore_index=True))


def test_levels_are_over_seeds_for_each_sampler(three_seeds, facts, tmp_path, drawn):
    facts["metrics"] = ["fd@0.75", "fd@0.25"]
    source = at_times(three_seeds, {"ode": 0.0, "sde": 100.0})
    numbers = pd.read_csv(FIGURES["levels"](source, facts, tmp_path / "l")[-1])
    assert len(numbers[numbers["method"] != "floor"]) == 2 * 2 * 2
    (row,) = numbers.query("method == 'repa' and sampler == 'sde' and time == 0.25").to_dict("records")
    over = interval([105.25, 106.25, 107.25])
    assert (row["value"], row["low"], row["high"]) == pytest.approx((over.mean, over.low, over.high))
    assert row["interval"] == "t95"
    (figure,) = drawn
    assert [axis.get_title() for axis in figure.axes] == ["B, last step, ode", "B, last step, sde"]
    assert figure.axes[1].lines[0].get_xydata().tolist() == [[0.25, 106.25], [0.75, 106.75]]


def test_levels_of_one_sampler_are_one_panel(three_seeds, facts, tmp_path, drawn):
    facts["metrics"] = ["fd@0.75", "fd@0.25", "accuracy@x"]
    FIGURES["levels"](at_times(three_seeds, {"ode": 0.0}), facts, tmp_path / "l")
    (axis,) = drawn[0].axes
    assert (axis.get_title(), axis.get_ylabel()) == ("B, last step", "fd")


def test_levels_without_a_metric_at_a_time_are_an_error(three_seeds, facts, tmp_path):
    with pytest.raises(MetricError, match="no metric is taken at several times"):
        FIGURES["levels"](three_seeds, facts, tmp_path / "l")


@pytest.mark.parametrize(
    ("lines", "where"), [(0, {"method": "sit", "step": 400}), (1, {"method": "repa", "step": 100})]
)
def test_what_was_not_measured_is_an_empty_cell_and_no_target_is_drawn(
    three_seeds, lose, facts, tmp_path, drawn, lines, where
):
    source = lose(three_seeds, "no folder", **where)
    file = Path(FIGURES["speedup"](source, facts, tmp_path / "s")[-1])
    assert "nan" not in file.read_text()
    numbers = pd.read_csv(file)
    (row,) = numbers.query("kind == 'speedup' and method == 'repa' and axis == 'steps'").to_dict("records")
    assert np.isnan(row["value"])
    assert row["reason"] == "3 of 3 seeds: the metric was not measured: no folder"
    assert sum(line.get_linestyle() == ":" for line in drawn[0].axes[0].lines) == lines


@pytest.mark.parametrize("domain", ["image", "protein"])
def test_the_cosine_is_said_to_be_time_weighted_only_where_it_is(three_seeds, facts, tmp_path, drawn, domain):
    FIGURES["alignment"](three_seeds, {**facts, "domain": domain}, tmp_path / "a")
    assert ("time-weighted" in drawn[0].axes[1].get_ylabel()) == (domain == "image")
