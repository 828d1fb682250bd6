"""The figures of `snakemake paper`: what stands in their csv, what marks mean; that no words cover each other."""

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from matplotlib import colors
from matplotlib.text import Text

from reedbench.core import io
from reedbench.core.errors import ConfigError, MetricError
from reedbench.report import published, style
from reedbench.report.paper import figures, speedup
from reedbench.report.paper.figures import marks
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import Protocol
from reedbench.schema import paper as schema

ADM = {"n": "50000", "evaluator": "adm", "vae": "sd-vae-ft-ema", "labels": "random"}
SDE = Protocol(sampler="euler-maruyama", sampler_steps="250", guidance="none", **ADM)
ODE = Protocol(sampler="heun", sampler_steps="250", guidance="none", **ADM)


@pytest.fixture(scope="module")
def numbers():
    return published.load()


@pytest.fixture(scope="module")
def shipped():
    return schema.read()


@dataclass(frozen=True)
class Drawn:
    """A figure as it is saved, its numbers, and words in it that cannot be read."""

    figure: Any
    rows: list[dict[str, str]]
    covered: list[tuple[str, str]]

    @property
    def words(self) -> list[str]:
        """Texts of all legends."""
        holders = [self.figure, *self.figure.subfigs]
        texts = [text for holder in holders for legend in holder.legends for text in legend.get_texts()]
        return [text.get_text().replace("\n", " ") for text in texts]


@pytest.fixture(scope="module")
def draw(numbers, shipped, tmp_path_factory):
    """Draws a figure of the shipped numbers, or of others, without its pictures."""

    @cache
    def draw(name: str, own: bool = False, rows: Any = numbers, tolerant: bool = True) -> Drawn:
        found: list[tuple[Any, list[tuple[str, str]]]] = []
        save, stem = style.save, tmp_path_factory.mktemp(name) / name
        asked = shipped if tolerant else shipped.model_copy(update={"tolerance": {}})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(style, "SUFFIXES", ())
            patch.setattr(style, "save", lambda one, *rest: (found.append((one, covered(one))), save(one, *rest))[1])
            (file,) = figures.draw(name, rows, OWN if own else [], asked, stem)
        with Path(file).open(encoding="utf-8", newline="") as stream:
            return Drawn(found[0][0], list(csv.DictReader(stream)), found[0][1])

    return draw


def covered(figure: Any) -> list[tuple[str, str]]:
    """Pairs of words that cover each other, and words that the page cuts off, while the house style is on."""
    shown: dict[int, Text] = {}

    def record(text: Text, *rest: Any, **more: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            shown[id(text)] = text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Text, "draw", record)  # only what is drawn: axes keep labels of ticks beyond their ends
        figure.draw_without_rendering()
    assert len(shown) > 20
    page = figure.bbox
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in shown.values()]
    cut = [(words, "the page's edge") for words, box in boxes if not page.x0 <= box.x0 < box.x1 <= page.x1]
    cut += [(words, "the page's edge") for words, box in boxes if not page.y0 <= box.y0 < box.y1 <= page.y1]
    return cut + [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]


def cell(method: str, steps: int, values: Sequence[float], protocol: Protocol = SDE, **changes: Any) -> OwnCell:
    """An own result of imagenet."""
    said: dict[str, Any] = {
        "benchmark": "imagenet", "data": "imagenet-256", "backbone": "SiT-XL/2", "metric": "fid", "baseline": "SiT",
        "epoch": 5000, "sampler": "sde", "seeds": 3,
    }  # fmt: skip
    return OwnCell(**{**said, **changes}, method=method, steps=steps, values=dict(enumerate(values)), protocol=protocol)


OWN = [
    cell("SiT", 400_000, [17.5, 18.1, 17.7]),
    cell("SiT", 7_000_000, [8.4], imported=True),
    cell("REPA", 400_000, [7.4, 7.9, 7.6]),
    cell("REED", 200_000, [9.1, 9.6]),
    cell("REPA", 400_000, [22.1, 22.5, 23.2], benchmark="imagenet-b", backbone="SiT-B/2"),
    cell("SiT", 200_000, [29.0, 30.0, 31.0], ODE),
]


def test_the_step_draws_all_figures_that_there_are(shipped):
    assert tuple(shipped.drawn) == figures.NAMES
    assert set(shipped.pictures) <= set(shipped.outputs)


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_figure_has_the_same_bytes_at_any_time(numbers, shipped, tmp_path, monkeypatch, name):
    runs = []
    for run, now in (("one", "1000000000"), ("two", "2000000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", now)
        runs.append(figures.draw(name, numbers, OWN, shipped, tmp_path / run / name))
    assert runs[0] == [str(tmp_path / "one" / f"{name}{suffix}") for suffix in (".pdf", ".svg", ".png", ".csv")]
    for one, two in zip(*runs, strict=True):
        assert io.sha256(one) == io.sha256(two), Path(one).suffix


@pytest.mark.parametrize("name", figures.NAMES)
@pytest.mark.parametrize("own", [False, True])
def test_no_words_cover_each_other_and_none_are_cut_off(draw, name, own):
    assert draw(name, own=own).covered == []


def test_a_figure_that_there_is_not_gets_a_guess(numbers, shipped, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'reruns'"):
        figures.draw("rerun", numbers, [], shipped, tmp_path / "x")


def test_where_the_file_names_nothing_to_show_no_figure_is_asked_for_and_each_says_so(numbers, tmp_path):
    nothing = schema.Paper()
    assert nothing.pictures == []
    for name in figures.NAMES:
        with pytest.raises(MetricError, match=f"which figure {name} shows"):
            figures.draw(name, numbers, [], nothing, tmp_path / name)


def test_methods_that_the_suite_measures_look_alike_everywhere_and_others_take_no_colour_of_theirs(shipped):
    few = marks.looks(shipped, ["REED", "SiT"])
    many = marks.looks(shipped, ["REED", "SiT", *(f"other {i}" for i in range(8))])
    assert {name: many[name] for name in few} == few
    assert len({look.colour for look in many.values()}) == len(many)
    crowd = marks.looks(shipped, [f"other {i}" for i in range(30)])
    assert len(set(crowd.values())) == len(crowd)


# -- curves


def test_the_numbers_of_curves_are_the_points_and_the_computed_ratios(draw, numbers, shipped):
    rows = draw("curves").rows
    found = speedup.computed(numbers, shipped)
    said = {row["name"]: row for row in rows if row["drawn"] == "speed-up"}
    assert {name: float(row["value"]) for name, row in said.items()} == {
        name: pytest.approx(one.ratio) for name, one in found.items()
    }
    assert (said["reed-sit"]["from"], said["reed-sit"]["to"]) == ("7000000.0", "300000.0")
    points = {(row["panel"], row["method"], float(row["cost"])): row for row in rows if row["drawn"] == "paper"}
    for one in found.values():
        for cost, number in (*one.method.points, *one.baseline.points):
            (row,) = [
                points[key] for key in points if key[1:] == (number.method, cost) and points[key]["row"] == number.at
            ]
            assert (row["value"], row["tag"], row["source"]) == (number.printed, number.tag, number.source)
    assert len({row["panel"] for row in rows}) == 3


def test_a_changed_point_moves_its_arrow(draw, numbers):
    worse = tuple(
        row.model_copy(update={"value": 8.6, "printed": "8.6"})
        if (row.method, row.steps, row.metric) == ("REED", 300_000, "fid")
        else row
        for row in numbers
    )
    one, other = draw("curves"), draw("curves", rows=worse)
    before, after = ({text.get_text() for text in each.figure.axes[0].texts} for each in (one, other))
    assert {"23.3x", "17.5x"} <= before
    assert "23.3x" not in after
    assert "REED over SiT: 17.5x [1 to 23.3], claimed 23.3" in other.words


def test_papers_are_open_digitised_ones_dotted_and_own_results_filled(draw):
    rows, figure = draw("curves", own=True).rows, draw("curves", own=True).figure
    axis, white = figure.axes[0], colors.to_rgba("white")
    dots = sum(len(line.get_xdata()) for line in axis.lines if line.get_marker() == ".")
    first = rows[0]["panel"]
    assert dots == sum(row["tag"] == "G" for row in rows if row["panel"] == first) > 0
    open_marks = [line for line in axis.lines if colors.to_rgba(line.get_markerfacecolor()) == white]
    count = sum(row["drawn"] == "paper" for row in rows if row["panel"] == first)
    assert sum(len(line.get_xdata()) for line in open_marks if line.get_marker() not in ("None", "")) == count
    own = [(row["method"], float(row["cost"]), row["kind"]) for row in rows if row["drawn"] == "own"]
    assert own == [("SiT", 4e5, "own"), ("SiT", 7e6, "imported"), ("REED", 2e5, "own"), ("REPA", 4e5, "own")]
    words = draw("curves", own=True).words
    assert {"open: printed by papers", "dot inside: read off a figure", "filled: own results"} <= set(words)
    assert {"black rim: of published weights", "with range over 2 seeds"} <= set(words)
    assert "with 95 % t interval over 3 seeds" in words


def test_what_is_not_drawn_is_not_in_the_legend(draw):
    for name in figures.NAMES:
        assert not any("own" in words or "rim" in words for words in draw(name).words)


# -- re-runs


def test_reruns_are_differences_to_the_number_that_stands_for_the_authors(draw):
    rows = draw("reruns", own=True).rows
    blocks = {row["cell"]: [one for one in rows if one["cell"] == row["cell"]] for row in rows}
    assert "SiT on SiT-B/2, 400K steps: 33.0 to 42.28" in blocks
    repa = blocks["REPA on SiT-B/2, 400K steps: 22.38 to 27.33"]
    assert (repa[0]["kind"], repa[0]["value"], float(repa[0]["difference"])) == ("claim", "24.4", 0)
    published_ones = [float(row["difference"]) for row in repa[1:] if row["drawn"] == "paper"]
    assert published_ones == sorted(published_ones)
    assert min(published_ones) == pytest.approx(22.38 - 24.4)
    (own,) = [row for row in repa if row["drawn"] == "own"]
    assert float(own["difference"]) == pytest.approx(22.6 - 24.4)
    large = blocks["REPA on SiT-L/2, 400K steps: 9.7 to 10.0"]
    assert [row["value"] for row in large] == ["9.7", "10.0"]  # the claim that the other overrides is shown, too
    assert not any(row["kind"] == "copy" for row in rows)
    labels = [label.get_text() for label in draw("reruns", own=True).figure.axes[0].get_yticklabels()]
    assert labels.count("issue 31 of its repository") == 2  # not the authors, on whose pages it stands
    assert "own: imagenet, imported" in labels


def test_a_metric_without_tolerance_has_no_band(draw):
    with_band, without = draw("reruns"), draw("reruns", tolerant=False)
    words = [[said for said in one.words if said.startswith("band")] for one in (with_band, without)]
    assert words == [["band: tolerance of verdicts"], []]
    assert with_band.figure.axes[0].collections
    assert not without.figure.axes[0].collections


# -- frontier


def test_epochs_to_a_value_lie_between_the_last_that_is_worse_and_the_first_that_is_as_good(draw):
    rows = draw("frontier").rows
    ends = {(row["panel"], row["method"], row["backbone"]): (row["low"], row["high"]) for row in rows
            if row["drawn"].startswith("epochs to")}  # fmt: skip
    assert ends["without", "REG", "SiT-XL/2"] == ("480.0", "800.0")
    assert ends["without", "RAEv2", ""] == ("35.0", "35.0")  # printed as such
    assert ends["without", "SiT", "SiT-XL/2"] == ("1400.0", "")
    assert ends["guided", "REED", "SiT-XL/2"] == ("", "200.0")
    words = draw("frontier").words
    for said in ("REG: 480 to 800", "RAEv2: 35", "SiT: not by 1400", "REED: by 200", "epochs to FID 2 (EP_FID@2):"):
        assert said in words


def test_a_frontier_has_what_no_less_training_betters_and_each_method_its_best(draw):
    rows = draw("frontier", own=True).rows
    points = [row for row in rows if row["drawn"] == "paper" and row["panel"] == "without"]
    for drawn, kept in (("best of all networks and autoencoders", points),
                        ("best on SiT-XL/2", [row for row in points if row["backbone"] == "SiT-XL/2"])):  # fmt: skip
        corners = [(float(row["epochs"]), float(row["value"])) for row in rows if row["drawn"] == drawn
                   and row["panel"] == "without"]  # fmt: skip
        assert corners == sorted(corners, key=lambda corner: -corner[1])
        for row in kept:
            best = [value for epochs, value in corners if epochs <= float(row["epochs"])]
            assert best[-1] <= float(row["value"])
    assert not any(row["method"] == "ERW" for row in rows)
    guided = {(row["method"], row["epochs"]): row["value"] for row in rows if row["panel"] == "guided"
              and row["drawn"] == "paper"}  # fmt: skip
    assert guided["REPA", "800.0"] == "1.42"  # of five scales and seven intervals
    own = [(row["method"], float(row["epochs"])) for row in rows if row["drawn"] == "own"]
    assert sorted(own) == [("REED", 40), ("REPA", 80), ("SiT", 80), ("SiT", 1400)]


def test_every_number_in_the_figures_has_a_row_and_a_source(draw, numbers):
    known = {row.at: row for row in numbers}
    for name in figures.NAMES:
        rows = [row for row in draw(name).rows if row["drawn"] == "paper"]
        assert len(rows) > 20
        for row in rows:
            number = known[row["row"]]
            assert (row["source"], row["method"]) == (number.source, number.method)
            assert row["value"] == (number.printed if number.metric == row["metric"] else "2")


# -- what the file may say


def test_a_frontier_needs_a_metric_that_falls_and_reruns_a_table(tmp_path):
    file = tmp_path / "paper.yaml"
    panel = "{title: x, metric: recovery, guided: false, where: {data: pdb}, reach: 2, backbone: x}"
    file.write_text(f"figures: {{reruns: other, frontier: {{x: {panel}}}}}\n")
    with pytest.raises(ConfigError, match="recovery lower is not better"):
        schema.read(file)
    file.write_text("figures: {reruns: other}\n")
    with pytest.raises(ConfigError, match="unknown table 'other'"):
        schema.read(file)
