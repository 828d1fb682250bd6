"""`snakemake paper` in a fresh clone: one light job, made anew for new own results, and never a heavy one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reedbench.core import paths
from reedbench.schema import runs
from reedbench.schema.suite import load

REPOSITORY = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("workflow")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A working directory with the shipped configuration alone."""
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    load.cache_clear()
    yield tmp_path
    load.cache_clear()


def snakemake(*arguments: str) -> str:
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "1"]
    triggers = ["--rerun-triggers", "mtime", "params", "input"]
    done = subprocess.run([*command, *arguments, *triggers], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_needs_nothing_and_asks_for_no_run(clone):
    snakemake("paper")
    assert Path("results/paper/summary.md").read_text().startswith("# Papers: 0 of ")
    assert "Nothing to be done" in snakemake("-n", "paper")
    # Results that were made under other settings, for which Snakemake would train if they were inputs.
    cell = runs.benchmark(load(), "imagenet").cell("repa", 0, 400_000, "sde")
    Path(cell.metrics).parent.mkdir(parents=True)
    Path(cell.metrics).write_text("{}")
    planned = snakemake("-n", "paper")
    assert "rule paper:" in planned
    assert "Params have changed" in planned
    assert {line for line in planned.splitlines() if line.startswith(("rule ", "localrule "))} == {"rule paper:"}
    snakemake("paper")
    assert f"Own result left out: {cell.metrics}" in Path(paths.paper("summary.md")).read_text().replace("\\", "")


def test_a_working_directory_without_the_file_has_no_such_target(clone):
    Path(paths.PAPER).unlink()
    command = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "-n", "--cores", "1", "paper"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "paper: no such target" in done.stderr
