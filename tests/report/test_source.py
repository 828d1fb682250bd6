"""What reports are made from survives the cache, and a selection is complete or refused."""

import numpy as np
import pandas as pd
import pytest

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact
from reedbench.report import source as sources


def test_a_cache_reads_back_what_was_written(three_seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = sources.write_cache("b", three_seeds, {"benchmark": "b"})
    assert files == [*paths.cache_files("b"), paths.cache_record("b")]
    read = sources.read_cache("b")
    pd.testing.assert_frame_equal(read.metrics, three_seeds.metrics)
    pd.testing.assert_frame_equal(read.curves, three_seeds.curves)
    assert read.preview.keys() == three_seeds.preview.keys()
    for name, images in three_seeds.preview.items():
        np.testing.assert_array_equal(read.preview[name], images)


def test_the_record_of_a_cache_names_its_origin_and_the_digest_of_every_file(three_seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sources.write_cache("b", three_seeds, {"benchmark": "b", "inputs": {"x": "1"}})
    record = io.read_json(paths.cache_record("b"))
    assert record["inputs"] == {"x": "1"}
    assert record["sha256"] == {file: io.sha256(file) for file in paths.cache_files("b")}


def test_a_cache_written_twice_is_the_same_bytes(three_seeds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digests = []
    for _ in range(2):
        sources.write_cache("b", three_seeds, {})
        digests.append([io.sha256(file) for file in paths.cache_files("b")])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("number", range(3))
def test_a_damaged_cache_is_named(three_seeds, tmp_path, monkeypatch, number):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / sources.write_cache("b", three_seeds, {})[number]
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(MissingArtefact, match=f"{file.name}: not a whole (parquet|npz) file"):
        sources.read_cache("b")


def test_an_absent_cache_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingArtefact, match=r"results/cache/b/metrics\.parquet: no such file"):
        sources.read_cache("b")


def test_a_selection_holds_its_cells_the_floor_and_what_belongs_to_its_methods(three_seeds):
    cells = [("repa", 1, 200, "ode"), ("repa", 2, 400, "ode")]
    chosen = three_seeds.only(cells)
    real = chosen.metrics[chosen.metrics["method"] != sources.FLOOR]
    assert set(real[sources.CELL].itertuples(index=False, name=None)) == set(cells)
    assert len(chosen.floor) == 1
    assert set(chosen.curves["method"]) == {"repa"}
    assert all(name.startswith("repa/") for name in chosen.preview)
    assert len(chosen.preview) == 4


def test_the_floor_is_what_is_recorded_under_its_name(three_seeds):
    assert three_seeds.floor[["method", "value", "n"]].to_numpy().tolist() == [["floor", 0.25, 30]]


def test_the_curve_of_a_run_joins_its_segments(tmp_path):
    head = ",".join(sources.CURVE)
    for i in range(2):
        folder = tmp_path / f"segment-{i}"
        folder.mkdir()
        (folder / "curve.csv").write_text(f"{head}\n{10 * i + 5},1,1,1,1\n{10 * i + 10},2,2,2,2\n")
    joined = sources.curve_of(
        {str(tmp_path / f"segment-{i}" / "curve.csv"): 10 * i + 10 for i in range(2)}, {"method": "sit", "seed": 3}
    )
    assert joined["step"].tolist() == [5, 10, 15, 20]
    assert set(joined["method"]) == {"sit"}
    with pytest.raises(MissingArtefact, match=r"segment-2/curve\.csv: no such file"):
        sources.curve_of({str(tmp_path / "segment-2" / "curve.csv"): 30}, {})


@pytest.mark.parametrize("text", ["", "x", "step,denoise\n5,1\n", ",".join(sources.CURVE) + "\n5,1,1,1,1\n"])
def test_a_curve_that_is_damaged_or_cut_short_is_an_error(tmp_path, text):
    file = tmp_path / "curve.csv"
    file.write_text(text)
    with pytest.raises(MissingArtefact, match=r"curve\.csv: not .*train its segment again"):
        sources.curve_of({str(file): 10}, {})
