"""`reedbench reference`: what is shown, as a table, as csv, and what it cites."""

import csv
import sys
from pathlib import Path

import pytest

from reedbench import cli
from reedbench.report import bibliography, published
from reedbench.schema.published import load
from reedbench.schema.published_row import COLUMNS

ROOT = Path(__file__).parents[2]
L = ("--method", "REPA", "--backbone", "SiT-L/2", "--metric", "fid", "--steps", "400000", "--kind", "claim")


@pytest.fixture
def said(monkeypatch, capsys):
    """Runs the command in the repository; gives its exit code, standard output and error."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["reedbench", "reference", *arguments])
        return cli.main(), *capsys.readouterr()

    return run


def test_a_table_shows_what_differs_and_says_once_what_does_not(said):
    code, shown, prose = said(*L)
    assert code == 0
    assert shown.startswith("method REPA;") is False
    assert (
        "backbone SiT-L/2; trained 400K; metric fid; sampler euler-maruyama 250; guidance none; kind claim (P)" in shown
    )
    assert "yu2025repa, Table 3" in shown
    assert "10.0*" in shown
    assert "encoder=MAE-L; depth=8" in shown
    assert "* is a claim that another to the same cell overrides" in prose


def test_the_mark_knows_claims_that_are_not_shown(said):
    _, shown, _ = said(*L, "--guidance", "none", "--csv")
    rows = list(csv.DictReader(shown.splitlines()))
    assert {row["guidance"] for row in rows} == {"none"}
    everything = published.load(ROOT / "config/reference")
    ten = [one for one in everything if one.place == "Table 7" and one.value == 10.0]
    _, lines = published.table(ten, everything)
    assert lines[1][lines[0].index("value")] == "10.0*"


def test_csv_is_read_back_to_the_same_rows(said, tmp_path):
    code, shown, _ = said("--csv")
    assert code == 0
    (tmp_path / "all.csv").write_text(shown)
    here = {tuple(getattr(one, name) for name in COLUMNS) for one in load(tmp_path, known=bibliography.entries())}
    there = {tuple(getattr(one, name) for name in COLUMNS) for one in published.load(ROOT / "config/reference")}
    assert here == there


def test_bibtex_is_of_exactly_what_is_shown(said):
    _, shown, _ = said(*L, "--bibtex")
    assert shown.count("@") == 1
    assert "@inproceedings{yu2025repa," in shown
    _, shown, prose = said("--metric", "ep-fid@2", "--metric", "recovery", "--bibtex")
    assert sorted(line.split("{")[1].strip(",\n") for line in shown.splitlines() if line.startswith("@")) == [
        "singh2026raev2", "wang2025reed",
    ]  # fmt: skip
    assert "from 2 sources" in prose


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--method", "RPEA"), "unknown method 'RPEA'; did you mean 'REPA'?"),
        (("--metric", "fid", "--data", "pdb"), "no number has all of these at once: metric fid; data pdb"),
        (("--csv", "--bibtex"), "give one of them"),
    ],
)
def test_what_there_is_none_of_is_one_line(said, arguments, words):
    code, shown, prose = said(*arguments)
    assert (code, shown) == (2, "")
    assert words in prose
    assert prose.count("\n") == 1


def test_outside_the_repository_it_says_where_they_are(said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, prose = said()
    assert code == 2
    assert "config/reference: has no csv file" in prose
