"""config/paper.yaml: what it must be, and that it fits the suite's benchmarks."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.schema import paper, papers
from reedbench.schema.paper import Tolerance, Where

REPOSITORY = Path(__file__).parents[2]
TABLE = {"title": "T", "where": {"method": "REPA"}, "by": ["method"], "columns": ["fid"]}
SPEEDUP = {"stated_by": "a2020b", "method": "A", "baseline": "B", "metric": "fid", "where": {}, "axis": "steps",
           "leaves_out": "all"}  # fmt: skip
MEASURED = {"data": "d", "backbone": "b", "methods": {"sit": "SiT"}, "metrics": {"fid": "fd@clf"}, "baseline": "sit",
            "epoch": 10}  # fmt: skip


def written(folder: Path, **sections: Any) -> Path:
    file = folder / "paper.yaml"
    file.write_text(yaml.safe_dump(sections))
    return file


def faults(folder: Path, **sections: Any) -> str:
    with pytest.raises(ConfigError) as error:
        paper.read(written(folder, **sections))
    return str(error.value)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"tables": {"a": {**TABLE, "colums": ["fid"]}}},
            "tables.a.colums: unknown key 'colums'; did you mean 'columns'?",
        ),
        ({"tables": {"a": {**TABLE, "columns": ["fidd"]}}}, "unknown metric 'fidd'"),
        ({"tables": {"a": {**TABLE, "columns": []}}}, "tables.a.columns: must be a list of 1 or more entries"),
        ({"tables": {"a": {**TABLE, "where": {"methd": "x"}}}}, "tables.a.where.methd: unknown key 'methd'"),
        ({"tables": {"a": {**TABLE, "where": {"method": []}}}}, "must be text, a number or a list of them"),
        ({"tables": {"a": {**TABLE, "where": {"method": True}}}}, "must be text, a number or a list of them, got True"),
        ({"tables": {"A b": TABLE}}, "must be a name of lower-case letters"),
        ({"speedups": {"a": {**SPEEDUP, "axis": "hours"}}}, "speedups.a.axis: 'hours' is not allowed"),
        ({"speedups": {"a": {**SPEEDUP, "metric": "fid-seed-spread"}}}, "neither way is better"),
        ({"measured": {"a": {**MEASURED, "baseline": "sitt"}}}, "baseline: unknown method 'sitt'; did you mean 'sit'?"),
        ({"measured": {"a": {**MEASURED, "epoch": 0}}}, "measured.a.epoch: must be at least 1, got 0"),
        ({"tolerance": {"fid": {}}}, "needs an absolute or a relative tolerance above 0"),
        ({"tolerance": {"fid": {"relative": 1.5}}}, "tolerance.fid.relative: must be less than 1"),
    ],
)
def test_mistakes_are_named(tmp_path, sections, said):
    assert said in faults(tmp_path, **sections)


def test_all_mistakes_are_said_at_once_with_their_lines(tmp_path):
    said = faults(tmp_path, tables={"a": {**TABLE, "own": "perhaps"}}, tolerance={"fd": {"absolute": 1}})
    assert len(said.splitlines()) == 2
    assert all(f"{tmp_path}/paper.yaml:" in line for line in said.splitlines())


def test_one_value_is_a_list_of_one_and_numbers_are_as_they_are_written():
    where = Where.model_validate({"method": "REPA", "guidance": [1.5, "none"], "steps": 400_000, "interval": ""})
    assert where.columns == {
        "method": ("REPA",), "guidance": ("1.5", "none"), "steps": ("400000",), "interval": ("",)
    }  # fmt: skip


def test_a_tolerance_is_the_larger_of_both():
    one = Tolerance(absolute=1.0, relative=0.07)
    assert one.around(8.3) == 1.0
    assert one.around(33.0) == pytest.approx(2.31)


def test_the_shipped_file_fits_the_shipped_suite(reedbench, capsys, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    found = paper.read()
    assert found.tables
    assert reedbench("check") == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("tiny", {}, "measured.tiny: has embedded data, which are no paper's"),
        ("tinny", {}, "measured.tinny: unknown benchmark 'tinny'; did you mean 'tiny'?"),
        ("tiny", {"methods": {"sit": "SiT", "rpa": "REPA"}}, "measured.tiny.methods.rpa: unknown method 'rpa'"),
        ("tiny", {"metrics": {"fid": "fd@none"}}, "measured.tiny.metrics.fid: unknown metric 'fd@none'"),
    ],
)
def test_check_holds_it_to_the_benchmarks(files, reedbench, capsys, name, change, said):
    files.write()
    Path(paths.PAPER).parent.mkdir(exist_ok=True)
    written(Path(paths.PAPER).parent, measured={name: {**MEASURED, **change}})
    assert reedbench("check") == 2
    assert said in capsys.readouterr().err


def test_without_the_file_there_is_nothing_to_make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert papers.outputs() == []
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    assert "results/paper/tables/image-steps.tex" in papers.outputs()
    assert papers.inputs()[0] == paths.PAPER
    assert "config/reference/image.csv" in papers.inputs()
