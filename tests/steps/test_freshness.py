"""Without Snakemake too, nothing is mixed: a step refuses what was made under other settings than the file says now."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reedbench import steps
from reedbench.core import io, paths
from reedbench.schema import planning, suite
from reedbench.steps.export import export

CELL = "--benchmark tiny --method reed --seed 0"
SCORED = f"{CELL} --step 10 --sampler ode"


def run(command: str) -> int:
    suite.load.cache_clear()
    return steps.main(command.split())


def edit(old: str, new: str) -> None:
    file = Path("config/benchmarks/tiny.yaml")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    suite.load.cache_clear()


@pytest.fixture(scope="module")
def finished(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every job of a short benchmark has run, by the plan and without Snakemake."""
    folder = make_workspace(tmp_path_factory.mktemp("freshness") / "work")
    with contextlib.chdir(folder):
        edit("evaluate: [10, 20]", "evaluate: [10]")
        for job in planning.jobs(suite.load(), "tiny"):
            assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def test_the_plan_runs_nothing_twice(work):
    before = {file: file.stat().st_mtime_ns for file in work.rglob("results/**/*") if file.is_file()}
    for job in planning.jobs(suite.load(), "tiny"):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert {file: file.stat().st_mtime_ns for file in work.rglob("results/**/*") if file.is_file()} == before


def test_after_an_edit_the_plan_runs_what_depends_on_it_and_the_rest_stays(work):
    edit("weight: 0.25", "weight: 0.5")
    table, other = Path(paths.table("tiny")), Path(paths.receipt("tiny", "repa", 0, 0))
    before = table.read_bytes(), other.stat().st_mtime_ns
    for job in planning.jobs(suite.load(), "tiny"):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert table.read_bytes() != before[0]
    assert other.stat().st_mtime_ns == before[1]


STALE = {
    "data": ("dataset: {uses: digits}", "dataset: {uses: digits, test_rows: 300}", f"train {CELL} --segment 0"),
    "captions": ("captioner: measured, image: patches, dim: 4", "captioner: measured, image: patches, dim: 3",
                 "represent --dataset digits --encoder caption"),
    "a representation": ("dim: 16, steps: 2, batch: 32", "dim: 16, steps: 3, batch: 32", f"train {CELL} --segment 0"),
    "weights": ("weight: 0.25", "weight: 0.5", f"sample {SCORED}"),
    "samples": ("ode: {uses: euler, steps: 2}", "ode: {uses: euler, steps: 3}", f"evaluate {SCORED}"),
    "an extractor": ("dim: 8, steps: 5", "dim: 8, steps: 6", f"evaluate {SCORED}"),
    "metrics of another recipe": ("weight: 0.25", "weight: 0.5", "tabulate --benchmark tiny"),
    "metrics of another extractor": ("dim: 8, steps: 5", "dim: 8, steps: 6", "plot --benchmark tiny --figure samples"),
}  # fmt: skip


@pytest.mark.parametrize("what", STALE)
def test_a_step_refuses_what_was_made_under_other_settings(work, what, capfd):
    old, new, command = STALE[what]
    edit(old, new)
    assert run(command) == 3
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reedbench step")]
    assert "other settings" in line or "belong to recipe" in line


def test_a_cache_is_not_exported_from_mixed_settings(work):
    edit("dim: 8, steps: 5", "dim: 8, steps: 6")
    with pytest.raises(Exception, match="other settings"):
        export(suite.load(), "tiny")


def test_a_cache_of_another_recipe_is_refused(work, capfd):
    export(suite.load(), "tiny")
    assert run("tabulate --benchmark tiny --cache") == 0
    edit("weight: 0.25", "weight: 0.5")
    assert run("tabulate --benchmark tiny --cache") == 3
    assert "export its cache again" in capfd.readouterr().err


def test_the_summary_refuses_a_table_of_other_words(work):
    command = [sys.executable, "-m", "reedbench", "summary", "tiny"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    edit("    label: REPA\n", "    label: Repa\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 3
    assert "other settings" in done.stderr


def test_a_run_that_is_cut_otherwise_is_not_fresh_though_its_recipe_is_the_same(work, capfd):
    edit("save_every: 5", "save_every: 10")
    (segment,) = (job for job in planning.jobs(suite.load(), "tiny") if job.done == paths.receipt("tiny", "reed", 0, 0))
    assert run(f"train {segment.arguments} --unless-fresh {segment.done}") == 0
    assert "collected from the store" in capfd.readouterr().err
    assert list(io.read_json(segment.done)["weights"]) == ["step-0000010.safetensors"]
    assert run(f"train {segment.arguments} --unless-fresh {segment.done}") == 0
    assert capfd.readouterr().err == ""


def test_a_plan_heals_what_was_lost(work):
    shutil.rmtree(paths.segment("tiny", "reed", 0, 0))
    Path(paths.preview("tiny", "repa", 0, 10, "ode")).unlink()
    for job in planning.jobs(suite.load(), "tiny"):
        assert run(f"{job.verb} {job.arguments} --unless-fresh {job.done}") == 0
    assert Path(paths.segment("tiny", "reed", 0, 0), "curve.csv").exists()


def test_a_metric_file_that_was_edited_is_refused(work, capfd):
    file = Path(paths.metrics("tiny", "reed", 0, 10, "ode"))
    file.write_text(file.read_text().replace('"value": 0.', '"value": 1.', 1))
    assert run("tabulate --benchmark tiny") == 3
    assert "is not the file that its step wrote" in capfd.readouterr().err


def test_samples_of_another_recipe_are_not_scored(work, capfd):
    edit("weight: 0.25", "weight: 0.5")
    assert run(f"evaluate {SCORED}") == 3
    assert "another recipe's weights; sample again" in capfd.readouterr().err


def test_what_is_not_known_does_not_cost_nothing(work, capfd):
    Path(paths.representation("digits", "patches"), "shards.prov.json").unlink()
    assert run("tabulate --benchmark tiny") == 3
    assert "has no provenance file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "command", "words"),
    [
        ("patch: 2", "patch: 4", f"train {CELL} --segment 0", "16 tokens per datum, the backbone has 4"),
        ("patch: 2", "patch: 3", f"train {CELL} --segment 0", "does not fit digits: size 8 is not a multiple"),
        ("{uses: digits}", "{uses: digits, test_rows: 5000}", "prepare --dataset digits", "dataset digits: test_size"),
        ("seeds: [0]", "seeds: [0]\nresources: {train: {gpus: 1}}", f"train {CELL} --segment 0", "none is visible"),
        ("title: Tiny", "title: Tiny", f"sample {CELL} --step 7 --sampler ode", "step 7 is off the grid"),
        ("title: Tiny", "title: Tiny", "evaluate --benchmark tiny --floor --seed 0", "--floor takes no"),
    ],
)
def test_settings_that_do_not_fit_are_one_line_and_exit_code_2(work, capfd, monkeypatch, old, new, command, words):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    edit(old, new)
    assert run(command) == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("reedbench step")]
    assert words in line
