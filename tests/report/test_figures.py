"""Every figure leaves the same bytes each time, and the numbers that it shows beside them."""

from pathlib import Path

import pandas as pd
import pytest

from reedbench.core import io
from reedbench.report.figures import FIGURES
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
