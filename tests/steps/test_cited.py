"""`reedbench cite`: what stands in sidecars, new and old, and what is said where there is nothing to read."""

import sys
from pathlib import Path

import pytest
from tiny_steps import change, must

from reedbench import cli
from reedbench.core import io, paths, provenance
from reedbench.core.provenance import Made, Recorder
from reedbench.report import bibliography

TABLE = paths.table("tiny")


@pytest.fixture
def cite(monkeypatch, capsys):
    """`cite(file, ...)` runs the command here: its exit code, standard output and standard error."""

    def run(*files: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["reedbench", "cite", *files])
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def made(file: str, command: list[str], **more: object) -> None:
    """A file with a sidecar."""
    io.write_text(file, "x\n")
    Recorder("tabulate", 1, {}, command).record(Made([file], **more))


def without_citations(file: str) -> None:
    """A sidecar as they were before there were any."""
    mark = provenance.sidecar(file)
    io.write_json(mark, {name: value for name, value in io.read_json(mark).items() if name != "citations"})


def test_a_step_writes_what_its_outputs_stand_on(workspace, cite):
    must("prepare --dataset digits")
    file = paths.index(paths.data("digits"))
    assert provenance.read(file)["citations"] == {"data set digits": ["alpaydin1998digits"]}
    code, out, err = cite(file)
    assert code == 0
    assert out == bibliography.entries()["alpaydin1998digits"].text + "\n"
    assert f"{file}: 1 to cite" in err
    assert "alpaydin1998digits: data set digits" in err


def test_of_an_older_sidecar_the_command_tells(workspace, cite):
    made(TABLE, ["reedbench", "step", "tabulate", "--benchmark", "tiny"])
    without_citations(TABLE)
    code, out, err = cite(TABLE)
    assert code == 0
    assert "@inproceedings{yu2025repa," in out
    assert "method REPA" in err
    before = out
    change(table=["sit"], ablations={}, speedup={"metric": "fd@clf", "baseline": "sit"})
    code, out, err = cite(TABLE)
    assert code == 0
    assert "yu2025repa" not in out
    assert len(out) < len(before)


def test_what_was_recorded_stays_when_the_configuration_changes(workspace, cite):
    made(TABLE, ["reedbench", "step", "tabulate", "--benchmark", "tiny"], citations={"method X": ["yu2025repa"]})
    change(table=["sit"], ablations={})
    assert "yu2025repa" in cite(TABLE)[1]


@pytest.mark.parametrize(
    "citations", [["yu2025repa", "ma2024sit"], {"a": ["yu2025repa"], "b": ["ma2024sit", "yu2025repa"]}]
)
def test_any_artefact_may_give_keys_as_a_list_or_by_use(workspace, cite, citations):
    file = "results/paper/speedups.csv"
    made(file, ["something", "else"])
    io.write_json(provenance.sidecar(file), {**provenance.read(file), "citations": citations})
    code, out, _ = cite(file)
    assert code == 0
    assert [line.split("{")[1] for line in out.splitlines() if line.startswith("@")] == ["ma2024sit,", "yu2025repa,"]


def test_several_files_are_one_list_without_repetitions(workspace, cite):
    made("one.csv", ["x"], citations={"a": ["yu2025repa"]})
    made("two.csv", ["x"], citations={"b": ["yu2025repa", "ma2024sit"]})
    code, out, err = cite("one.csv", "two.csv")
    assert code == 0
    assert out.count("@") == 2
    assert "yu2025repa: a, b" in err


def test_a_key_without_an_entry_is_a_comment_that_says_what_to_do(workspace, cite):
    made("one.csv", ["x"], citations={"method Mine": ["me2030"], "codec pixels": []})
    code, out, err = cite("one.csv")
    assert code == 0
    assert out.startswith("% no entry for me2030: put one into bibliography.bib")
    assert "without a paper of their own: codec pixels" in err


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("results/tables/tiny.csv", 3, "does not exist: make it (snakemake --cores 2 results/tables/tiny.csv)"),
        ("results/tables/tyni.csv", 2, "did you mean results/tables/tiny.csv? (reedbench list targets)"),
        ("nothing.csv", 2, "no such target"),
        ("config/config.yaml", 3, "has no provenance file config.yaml.prov.json"),
    ],
)
def test_a_path_of_nothing_is_one_line(workspace, cite, file, code, words):
    found, out, err = cite(file)
    assert (found, out) == (code, "")
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("change_it", "words"),
    [
        ({"citations": {"a": "yu2025repa"}}, "are no keys"),
        ({"citations": [1]}, "are no keys"),
    ],
)
def test_a_damaged_sidecar_is_one_line(workspace, cite, change_it, words):
    made("one.csv", ["x"])
    io.write_json(provenance.sidecar("one.csv"), {**provenance.read("one.csv"), **change_it})
    code, _, err = cite("one.csv")
    assert code == 3
    assert words in err


def test_a_file_that_no_step_made_and_that_says_nothing_is_refused(workspace, cite):
    made("one.csv", ["python", "mine.py"])
    without_citations("one.csv")
    code, _, err = cite("one.csv")
    assert code == 3
    assert "does not say what it stands on" in err
    assert Path("one.csv").exists()
