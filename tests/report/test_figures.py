"""Every figure leaves the same bytes each time, its numbers beside it, and its words below its axes."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reedbench.codecs.residues import Residues
from reedbench.core import io
from reedbench.core.errors import ConfigError, MetricError
from reedbench.report import figures, panels, style
from reedbench.report.intervals import interval
from reedbench.report.source import NAMES, REAL, Source
from reedbench.schema.versions import FIGURES

# Of a benchmark whose metrics are taken at no time, and know no number of single samples.
DRAWN = [name for name in FIGURES if name not in ("levels", "distributions")]


@pytest.fixture
def drawn(monkeypatch) -> list:
    """Figures as they are saved."""
    found: list = []
    save = style.save
    monkeypatch.setattr(style, "save", lambda figure, *rest: (found.append(figure), save(figure, *rest))[1])
    return found


def axes_of(figure: Any) -> list:
    return [axis for axis in figure.axes if axis.axison]


def legend_of(figure: Any) -> list[str]:
    """Texts of all legends."""
    holders = [figure, *figure.subfigs]
    return [text.get_text().replace("\n", " ") for holder in holders for x in holder.legends for text in x.get_texts()]


def named(labels: list[str], facts: dict[str, Any], seeds: int = 3) -> dict[str, Any]:
    """Facts of methods m0, m1, ... with these labels; the first is the baseline."""
    methods = {f"m{i}": {"label": label, "note": ""} for i, label in enumerate(labels)}
    places = {name: i for i, name in enumerate(methods)}
    speedup = {"metric": "fd@x", "baseline": "m0"}
    return {**facts, "methods": methods, "shown_by": dict.fromkeys(methods, "ode"), "places": places,
            "baseline_label": labels[0], "speedup": speedup, "seeds": list(range(seeds))}  # fmt: skip


def test_every_declared_figure_is_a_file_of_that_name():
    files = {file.stem for file in Path(figures.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(FIGURES)


def test_a_figure_that_there_is_not_gets_a_guess(three_seeds, facts, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'speedup'"):
        figures.draw("spedup", three_seeds, facts, tmp_path / "x")


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_three_pictures_and_their_numbers_with_the_same_bytes_at_any_time(
    three_seeds, facts, tmp_path, monkeypatch, name
):
    runs = []
    for run, now in (("one", "1000000000"), ("two", "2000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", now)  # what matplotlib takes for the time
        runs.append(figures.draw(name, three_seeds, facts, tmp_path / run / name))
    assert runs[0] == [str(tmp_path / "one" / f"{name}{suffix}") for suffix in (".pdf", ".svg", ".png", ".csv")]
    for one, two in zip(*runs, strict=True):
        assert io.sha256(one) == io.sha256(two), Path(one).suffix
    heads = [Path(file).read_bytes()[:5] for file in runs[0][:3]]
    assert heads == [b"%PDF-", b"<?xml", b"\x89PNG\r"]


def test_a_figure_written_again_is_whole_and_alone(three_seeds, facts, tmp_path):
    for _ in range(2):
        figures.draw("alignment", three_seeds, facts, tmp_path / "a")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.csv", "a.pdf", "a.png", "a.svg"]


LABELS = ["$x$ & y_1", "_hidden", r"$\frac{", "a$", "%s {x} \\"]


@pytest.mark.parametrize("name", DRAWN)
def test_labels_and_titles_are_shown_as_they_are_written(make_source, facts, tmp_path, drawn, name):
    values = {(f"m{i}", k): [40.0 + k, 20.0 - i, 12.0 + k, 10.0 - i] for i in range(len(LABELS)) for k in range(3)}
    figures.draw(name, make_source(values), {**named(LABELS, facts), "title": r"$\title{"}, tmp_path / "x")
    (figure,) = drawn
    found = [x for x in figure.findobj(lambda x: hasattr(x, "get_parse_math")) if x.get_text()]
    texts = [text.get_text() for text in found]
    assert not any(text.get_parse_math() for text in found)
    for label in LABELS[1:] if name == "differences" else LABELS:
        assert any(label in text.replace("\n", " ") for text in texts), label
    assert any(r"$\title{" in text for text in texts)


@pytest.mark.parametrize("name", DRAWN)
def test_nothing_is_written_over_curves(three_seeds, facts, tmp_path, drawn, name):
    figures.draw(name, three_seeds, facts, tmp_path / "x")
    assert not any(axis.texts or axis.get_legend() for axis in drawn[0].axes)


def test_a_figure_grows_with_its_methods(make_source, facts, tmp_path, drawn):
    heights: dict[str, list[float]] = {}
    for count in (3, 11):
        labels = [f"method {i}" for i in range(count)]
        values = {(f"m{i}", k): [40.0 + k, 20.0 - i / 2, 12.0 + k, 9 - i / 2] for i in range(count) for k in (0, 1)}
        for name in ("speedup", "differences", "samples"):
            figures.draw(name, make_source(values), named(labels, facts, 2), tmp_path / name)
            heights.setdefault(name, []).append(drawn[-1].get_figheight())
    assert all(small + 1 < large for small, large in heights.values()), heights


def test_a_method_looks_the_same_in_all_figures_of_a_benchmark(three_seeds, facts, tmp_path, drawn):
    alone = {**facts, "methods": {"repa": facts["methods"]["repa"]}}
    for words in (facts, alone):
        figures.draw("alignment", three_seeds, words, tmp_path / "a")
    colours = [{line.get_color() for line in figure.axes[1].lines} for figure in drawn]
    assert colours == [{style.look(1).colour}] * 2


# -- speed-up


def test_the_numbers_of_the_speedup_figure_are_its_curves_marks_and_all_axes(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(figures.draw("speedup", three_seeds, facts, tmp_path / "s")[-1])
    curve = numbers[(numbers["kind"] == "curve") & (numbers["method"] == "repa")]
    assert curve["step"].tolist() == [100, 200, 300, 400]
    assert curve["value"].tolist() == [21.0, 11.0, 7.0, 6.0]
    assert curve["flops"].tolist() == [2e8, 4e8, 6e8, 8e8]
    assert set(curve["interval"]) == {"t95"}
    (mark,) = numbers[numbers["kind"] == "mark"].to_dict("records")
    assert (mark["method"], mark["step"], mark["flops"], mark["value"]) == ("repa", 200.0, 4e8, 11.0)
    gains = numbers[(numbers["kind"] == "speedup") & (numbers["method"] == "repa")].set_index("axis")["value"]
    assert {"steps", "samples", "device_seconds", "flops", "device_seconds+oneoff", "flops+oneoff"} <= set(gains.index)


def test_the_legend_says_what_each_method_gains_and_what_every_line_is(three_seeds, facts, tmp_path, drawn):
    figures.draw("speedup", three_seeds, facts, tmp_path / "s")
    repa, sit, *others = legend_of(drawn[0])
    assert sit == "SiT: baseline"
    assert repa.startswith("REPA_x 50%: ")
    assert "x fewer steps [" in repa
    assert "dotted line: 2.00x" in repa
    assert others == [
        "SiT's final value; ticks: where mean curves reach it",
        "bands and brackets: 95 % t interval over 3 seeds",
        "training half vs half (n = 30)",
    ]


def ticks(axis: Any) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axis.lines if line.get_marker() == "|"]


def test_the_second_panel_is_in_operations(three_seeds, facts, tmp_path, drawn):
    figures.draw("speedup", three_seeds, facts, tmp_path / "s")
    left, right = axes_of(drawn[0])
    assert right.get_xlabel() == "training compute (MFLOP)"
    assert left.lines[0].get_xdata().tolist() == [100, 200, 300, 400]
    assert right.lines[0].get_xdata().tolist() == [200.0, 400.0, 600.0, 800.0]  # REPA's steps cost twice
    assert (ticks(left), ticks(right)) == ([200.0], [400.0])
    assert left.get_ylabel() == "Frechet distance, x\nlower is better"


def test_a_long_title_stays_beside_its_panel(three_seeds, facts, tmp_path, drawn):
    facts["titles"]["fd@x"]["title"] = "Sequence recovery, over residues, last argmax, one vote per cluster"
    figures.draw("speedup", three_seeds, facts, tmp_path / "s")
    lines = axes_of(drawn[0])[0].get_ylabel().split("\n")
    assert " ".join(lines[:-1]) == facts["titles"]["fd@x"]["title"]
    assert max(map(len, lines)) <= panels.BESIDE
    assert panels.BESIDE * 0.15 < 6.2 - 1.2  # centimetres: letters of 8 points, and a panel without what is below it


def test_there_is_no_tick_where_the_mean_curve_does_not_cross(make_source, facts, tmp_path, drawn):
    """One seed passes the baseline's end, the mean does not."""
    values = {("sit", 0): [40.0, 30.0, 20.0, 10.0], ("sit", 1): [40.0, 30.0, 20.0, 10.0],
              ("repa", 0): [20.0, 12.0, 11.0, 9.9], ("repa", 1): [40.0, 30.0, 20.0, 15.0]}  # fmt: skip
    figures.draw("speedup", make_source(values), {**facts, "seeds": [0, 1]}, tmp_path / "s")
    assert ticks(axes_of(drawn[0])[0]) == []
    assert "not reached in 1 of 2 seeds" in legend_of(drawn[0])[0]


def test_a_method_that_never_gets_there_is_in_the_legend(make_source, facts, tmp_path, drawn):
    values = {("sit", 0): [4.0, 3.0, 2.0, 1.0], ("repa", 0): [9.0, 8.0, 7.0, 6.0]}
    figures.draw("speedup", make_source(values), {**facts, "seeds": [0]}, tmp_path / "s")
    assert legend_of(drawn[0])[0].startswith("REPA_x 50%: ")
    assert "not reached in 1 of 1 seeds" in legend_of(drawn[0])[0]
    assert not any("interval" in text or "range" in text for text in legend_of(drawn[0]))  # one seed has none


def test_the_baseline_is_drawn_where_the_ablation_leaves_it_out(three_seeds, facts, tmp_path, drawn):
    figures.draw("speedup", three_seeds, {**facts, "methods": {"repa": facts["methods"]["repa"]}}, tmp_path / "s")
    assert [text.split(":")[0] for text in legend_of(drawn[0])[:2]] == ["SiT", "REPA_x 50%"]


def test_values_that_differ_little_have_ticks_without_powers(three_seeds, facts, tmp_path, drawn):
    figures.draw("speedup", three_seeds, facts, tmp_path / "s")
    left, _ = axes_of(drawn[0])
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert left.get_yscale() == "log"
    assert "10" in labels
    assert not any("$" in label for label in labels)


@pytest.mark.parametrize(("dotted", "method"), [(0, "sit"), (1, "repa")])
def test_what_was_not_measured_is_an_empty_cell_and_no_target_is_drawn(
    three_seeds, lose, facts, tmp_path, drawn, dotted, method
):
    source = lose(three_seeds, "no folder", method=method, step=400)
    file = Path(figures.draw("speedup", source, facts, tmp_path / "s")[-1])
    assert "nan" not in file.read_text()
    numbers = pd.read_csv(file)
    (row,) = numbers.query("kind == 'speedup' and method == 'repa' and axis == 'steps'").to_dict("records")
    assert np.isnan(row["value"])
    assert "not measured at the last step: no folder" in row["reason"]
    assert "not measured at the last step: no folder" in legend_of(drawn[0])[0]
    assert sum(line.get_linestyle() == ":" for line in drawn[0].axes[0].lines) == dotted


@pytest.mark.parametrize("name", ["speedup", "differences"])
def test_a_metric_that_nobody_measured_is_said_and_not_drawn(three_seeds, lose, facts, tmp_path, drawn, name):
    assert figures.draw(name, lose(three_seeds, "no folder", sampler="ode"), facts, tmp_path / "s")
    texts = legend_of(drawn[0]) + [text.get_text() for axis in drawn[0].axes for text in axis.texts]
    assert any("not measured" in text for text in texts)


def test_a_figure_without_floor_or_alignment_can_be_drawn(make_source, facts, tmp_path):
    source = make_source({("sit", 0): [4.0, 3.0, 2.0, 1.0]}, floor=False)
    alone = {**facts, "methods": {"sit": {"label": "SiT", "note": ""}}, "seeds": [0]}
    for name in ("speedup", "samples", "alignment"):
        assert all(Path(file).stat().st_size for file in figures.draw(name, source, alone, tmp_path / name))


def test_a_speed_up_on_a_metric_without_records_is_one_line(three_seeds, facts, tmp_path):
    with pytest.raises(MetricError, match="b: no record of kd@x"):
        figures.draw(
            "speedup", three_seeds, {**facts, "speedup": {"metric": "kd@x", "baseline": "sit"}}, tmp_path / "s"
        )


@pytest.mark.parametrize(("operations", "unit"), [(5e6, "MFLOP"), (2e12, "TFLOP"), (3e21, "ZFLOP"), (12.0, "FLOP")])
def test_operations_are_told_in_a_unit_that_is_easy_to_read(operations, unit):
    assert panels.cost_unit(operations)[1] == unit


# -- differences


def test_differences_are_paired_over_seeds(three_seeds, facts, tmp_path, drawn):
    """The values vary over seeds by 1, their differences not at all: at the last step 5 - 10."""
    numbers = pd.read_csv(figures.draw("differences", three_seeds, facts, tmp_path / "d")[-1]).set_index("metric")
    row = numbers.loc["fd@x.v1-n64"]
    assert (row["method"], row["against"], row["step"], row["seeds"]) == ("repa", "sit", 400, "0 1 2")
    assert (row["difference"], row["low"], row["high"], row["interval"]) == (-5.0, -5.0, -5.0, "t95")
    assert numbers.loc["accuracy@x.v1-n64", "difference"] == 0.0
    left, right = axes_of(drawn[0])
    assert (left.get_title(), right.get_title()) == ("Frechet distance, x", "accuracy, x (share)")
    assert ("better" in left.get_xlabel(), left.get_xlabel()[0]) == (True, "\N{LEFTWARDS ARROW}")
    assert right.get_xlabel()[-1] == "\N{RIGHTWARDS ARROW}"
    faces = [axis.lines[-1].get_markerfacecolor() for axis in (left, right)]
    assert faces == [style.look(1).colour, "white"]  # 0 is no difference


def test_one_method_alone_has_no_differences(three_seeds, facts, tmp_path):
    with pytest.raises(MetricError, match="one method alone"):
        figures.draw("differences", three_seeds, {**facts, "methods": {"sit": facts["methods"]["sit"]}}, tmp_path / "d")


# -- loss terms


def test_the_numbers_of_the_alignment_figure_are_means_and_intervals_over_seeds(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(figures.draw("alignment", three_seeds, facts, tmp_path / "a")[-1])
    assert set(map(tuple, numbers[["method", "term", "kind"]].drop_duplicates().to_numpy())) == {
        ("sit", "denoise", "loss"), ("repa", "denoise", "loss"), ("repa", "patches@1", "cosine")
    }  # fmt: skip
    cosine = numbers[numbers["term"] == "patches@1"].set_index("step")["value"]
    assert cosine[200] == pytest.approx(0.2)  # the loss is the negative cosine
    assert set(numbers["interval"]) == {"t95"}


def test_every_term_has_its_panel_whatever_its_kind(three_seeds, facts, tmp_path, drawn):
    curves = three_seeds.curves.assign(dispersion=three_seeds.curves["seed"] + 1.0, probe=-0.5)
    curves["terms"] = json.dumps({"probe": "cosine", "dispersion": "loss"})
    figures.draw("alignment", dataclasses.replace(three_seeds, curves=curves), facts, tmp_path / "a")
    shown = {axis.get_title(): axis for axis in axes_of(drawn[0])}
    assert list(shown) == ["denoising loss", "patches@1", "dispersion", "probe"]
    assert [axis.get_ylabel() for axis in shown.values()] == ["training loss"] * 3 + ["cosine to the target"]
    assert shown["probe"].lines[0].get_ydata()[0] == 0.5
    over = interval([1.0, 2.0, 3.0])
    band = shown["dispersion"].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((over.low, over.high))
    assert "bands: 95 % t interval over 3 seeds" in legend_of(drawn[0])


# -- samples


def test_the_numbers_of_the_samples_figure_are_the_pixels(three_seeds, facts, tmp_path):
    numbers = pd.read_csv(figures.draw("samples", three_seeds, facts, tmp_path / "p")[-1])
    assert len(numbers) == 2 * 4 * 6
    (row,) = numbers[(numbers["method"] == "repa") & (numbers["step"] == 300) & (numbers["sample"] == 5)]["pixels"]
    assert [int(pixel) for pixel in row.split()] == three_seeds.preview["repa/300"][5].reshape(-1).tolist()


def words_of(figure: Any) -> str:
    return " ".join(text.get_text() for text in figure.texts).replace("\n", " ")


def test_samples_stand_below_real_data_of_the_same_classes(three_seeds, facts, tmp_path, drawn):
    real = np.arange(6 * 16, dtype=np.uint8).reshape(6, 4, 4, 1)
    more = {REAL: real, NAMES: np.array(["cat", "dog", "emu", "fox", "gnu", "hen"])}
    source = dataclasses.replace(three_seeds, preview={**three_seeds.preview, **more})
    numbers = pd.read_csv(figures.draw("samples", source, {**facts, "seeds": [7, 8]}, tmp_path / "p")[-1])
    words = words_of(drawn[0])
    assert "training images" in words
    assert "classes, in reading order: cat, dog, emu, fox, gnu, hen" in words
    assert "seed 7, sampler ode" in words
    assert len(drawn[0].axes) == 1 + 2 * 4
    assert numbers.query("method == 'real'")["asked"].tolist() == ["cat", "dog", "emu", "fox", "gnu", "hen"]


def test_a_cache_without_real_data_says_so(three_seeds, facts, tmp_path, drawn):
    for cached in (True, False):
        figures.draw("samples", three_seeds, {**facts, "cached": cached}, tmp_path / "p")
    assert "no real data in this cache" in words_of(drawn[0])
    assert "no real data: " in words_of(drawn[1])


def test_of_many_checkpoints_six_are_shown_and_said_to_be_some(make_source, facts, tmp_path, drawn):
    steps = tuple(range(100, 1300, 100))
    source = make_source({(m, 0): [40.0 - i for i in range(12)] for m in ("sit", "repa")}, steps=steps)
    figures.draw("samples", source, facts, tmp_path / "p")
    shown = [text.get_text() for text in drawn[0].texts if text.get_text().startswith("step ")]
    assert (len(shown), shown[0], shown[-1]) == (6, "step 100", "step 1200")
    assert "not every checkpoint is shown" in words_of(drawn[0])


def test_what_draws_a_sample_is_the_codec(three_seeds, facts, tmp_path, drawn):
    pairs = np.random.default_rng(0).integers(0, 21, (10, 2, 40), dtype=np.uint8)
    preview = {f"{m}/{step}": pairs for m in ("sit", "repa") for step in (100, 400)}
    source = dataclasses.replace(three_seeds, preview={**preview, REAL: pairs, NAMES: np.array(["1abc_A"] * 10)})
    numbers = pd.read_csv(figures.draw("samples", source, {**facts, "codec": Residues()}, tmp_path / "p")[-1])
    assert {"designed", "native"} <= set(numbers.columns)
    assert "native sequences" in words_of(drawn[0])
    assert legend_of(drawn[0]) == list(Residues.colours)


# -- levels


def at_times(source: Source, samplers: dict[str, float]) -> Source:
    """`fd@x` as a metric that is taken at two times, under samplers that add so much to it."""
    own = source.metrics[source.metrics["family"] == "fd@x"]
    copies = []
    for name, more in samplers.items():
        for time in (0.75, 0.25):
            copy = own.assign(family=f"fd@{time}", metric=f"fd@{time}.v1-n64", value=own["value"] + more + time)
            copies.append(copy.assign(sampler=name).mask(copy["method"] == "floor", copy))
    return dataclasses.replace(source, metrics=pd.concat(copies, ignore_index=True))


@pytest.fixture
def timed(facts) -> dict[str, Any]:
    """Facts of a metric at two times."""
    words = {"direction": "lower", "unit": ""}
    titles = {f"fd@{time}": {"title": f"Frechet distance, time {time}", **words} for time in (0.75, 0.25)}
    return {**facts, "metrics": list(titles), "titles": titles}


def test_levels_are_over_seeds_for_each_sampler(three_seeds, timed, tmp_path, drawn):
    source = at_times(three_seeds, {"ode": 0.0, "sde": 100.0})
    numbers = pd.read_csv(figures.draw("levels", source, timed, tmp_path / "l")[-1])
    assert len(numbers[numbers["method"] != "floor"]) == 2 * 2 * 2
    (row,) = numbers.query("method == 'repa' and sampler == 'sde' and time == 0.25").to_dict("records")
    over = interval([105.25, 106.25, 107.25])
    assert (row["value"], row["low"], row["high"]) == pytest.approx((over.mean, over.low, over.high))
    assert row["interval"] == "t95"
    left, right = axes_of(drawn[0])
    assert (left.get_title(), right.get_title()) == ("ode", "sde")
    assert right.lines[0].get_xydata().tolist() == [[0.25, 106.25], [0.75, 106.75]]
    assert left.get_ylabel() == "Frechet distance\nlower is better"


def test_levels_of_one_sampler_are_one_panel(three_seeds, timed, tmp_path, drawn):
    figures.draw("levels", at_times(three_seeds, {"ode": 0.0}), timed, tmp_path / "l")
    assert len(axes_of(drawn[0])) == 1
    assert legend_of(drawn[0]) == [
        "REPA_x 50%", "SiT", "bands: 95 % t interval over 3 seeds", "training half vs half (n = 30)"
    ]  # fmt: skip


def test_levels_without_a_metric_at_a_time_are_an_error(three_seeds, facts, tmp_path):
    with pytest.raises(MetricError, match="no metric is taken at several times"):
        figures.draw("levels", three_seeds, facts, tmp_path / "l")
