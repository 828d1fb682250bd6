"""`reedbench step paper` on the shipped numbers, where nothing has been run: files, traces, citations, bytes."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from reedbench.core import provenance
from reedbench.report import bibliography
from reedbench.schema import paper as paper_file
from reedbench.schema.suite import load
from reedbench.steps import runner
from reedbench.steps.cited import of_file

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A directory with the shipped configuration, in which the step has run."""
    place = tmp_path_factory.mktemp("paper")
    shutil.copytree(REPOSITORY / "config", place / "config")
    load.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert runner.main(["paper"]) == 0
    return place


@pytest.fixture
def made(ran, tmp_path, monkeypatch):
    """A copy of it as the working directory."""
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    load.cache_clear()
    yield Path("results/paper")
    load.cache_clear()


def table(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def line_of(row: str) -> dict[str, str]:
    """A line of config/reference, by file and number."""
    file, _, number = row.rpartition(":")
    lines = Path(file).read_text().splitlines()
    return next(csv.DictReader([lines[0], lines[int(number) - 1]]))


def test_every_number_of_every_table_traces_to_a_row_with_a_source(made):
    names = list(paper_file.read().tables)
    assert len(names) >= 9
    known = bibliography.entries()
    for name in names:
        rows = table(made / f"tables/{name}.csv")
        assert rows, name
        for row in rows:
            said = line_of(row["row"])
            assert (said["printed"], said["metric"], said["source"]) == (row["value"], row["metric"], row["source"])
            assert (said["method"], said["tag"], said["kind"]) == (row["method"], row["tag"], row["kind"])
            assert row["source"] in known


def test_digits_stand_in_the_pages_as_they_are_printed(made):
    for name in paper_file.read().tables:
        values = {row["value"] for row in table(made / f"tables/{name}.csv")}
        for suffix in (".md", ".tex"):
            page = (made / "tables" / f"{name}{suffix}").read_text()
            assert [value for value in values if value not in page] == []


def test_pages_say_sources_protocol_and_what_was_left_out(made):
    page = (made / "tables/image-steps.md").read_text()
    assert "- [2] Yu et al. 2025, arXiv:2410.06940" in page
    assert "| 400,000 | 24.4 | 6.40 | 59.9 | 0.59 | 0.65 | claim (P) | [2] Table 3, Table 7 | – | not run |" in page
    assert "Of all lines: data imagenet-256, sampler euler-maruyama" in page
    assert "Lines differ in labels: random (REPA); not stated" in page
    assert "FID 10.0 (yu2025repa, Table 7)" in page


def test_speed_ups_are_numbers_with_the_rows_that_they_are_from(made):
    rows = {row["name"]: row for row in table(made / "speedups.csv")}
    one = rows["reed-sit"]
    assert float(one["computed"]) == pytest.approx(float(one["baseline_cost"]) / float(one["method_cost"]))
    assert line_of(one["method_row"])["printed"] == one["method_value"] == "8.2"
    assert line_of(one["claim_row"])["printed"] == one["claimed"] == "23.3"
    assert all(row["agrees"] == "True" and row["leaves_out"] for row in rows.values())


def test_where_nothing_was_run_all_cells_say_so(made):
    rows = table(made / "tables/image-steps.csv")
    verdicts = {row["verdict"] for row in rows if row["backbone"] != "SiT-S/2"}
    assert verdicts == {"not run"}
    assert {row["why"] for row in rows if row["backbone"] == "SiT-S/2"} == {"no benchmark of the suite measures it"}
    first, *rest = (made / "summary.md").read_text().splitlines()
    assert first.startswith("# Papers: 0 of ")
    assert any("REED over SiT, FID 8.3: claimed 23.3x, computed 23.33x" in line for line in rest)


def test_each_file_says_whom_to_cite_and_what_it_was_made_from(made):
    assert of_file("results/paper/tables/repa-depth.md", "config/config.yaml") == {"numbers of REPA": ["yu2025repa"]}
    every = of_file("results/paper/summary.md", "config/config.yaml")
    assert "reidenbach2025megalodon" in every["numbers of SemlaFlow"]
    record = json.loads((made / "tables/repa-depth.md.prov.json").read_text())
    assert "config/reference/image.csv" in record["inputs"]
    assert list(provenance.verify("results/paper/tables/repa-depth.md"))


def test_a_figure_stands_on_the_papers_whose_numbers_it_draws(made):
    cited = of_file("results/paper/figures/frontier.pdf", "config/config.yaml")
    assert cited["numbers of RAEv2"] == ["singh2026raev2"]
    assert "numbers of DiscreteDiff" not in cited
    assert of_file("results/paper/figures/curves.png", "config/config.yaml")["numbers of DiscreteDiff"] == [
        "wang2025reed"
    ]


def test_the_outputs_are_those_that_the_rule_declares_and_the_same_bytes_twice(made):
    def content() -> dict[str, bytes]:
        files = (file for file in made.rglob("*") if file.is_file() and not file.name.endswith(".prov.json"))
        return {str(file): file.read_bytes() for file in files}

    first = content()
    assert sorted(first) == sorted(paper_file.read().outputs)
    assert runner.main(["paper"]) == 0
    assert content() == first


def test_a_row_without_source_stops_it(made, capsys):
    file = Path("config/reference/protein.csv")
    file.write_text(file.read_text().replace(",wang2025reed,", ",,", 1))
    assert runner.main(["paper"]) == 2
    assert "config/reference/protein.csv:2: source: is required and missing" in capsys.readouterr().err


def test_two_sources_that_contradict_each_other_are_named(made, capsys):
    file = Path("config/reference/protein.csv")
    (claim,) = [line for line in file.read_text().splitlines() if ",REED," in line and ",70," in line]
    file.write_text(
        file.read_text() + claim.replace("41.5,41.5", "40.9,40.9").replace("wang2025reed", "ma2024sit") + "\n"
    )
    assert runner.main(["paper"]) == 2
    said = capsys.readouterr().err
    assert "conflicting sources: 40.9 (ma2024sit" in said
    assert "41.5 (wang2025reed" in said
