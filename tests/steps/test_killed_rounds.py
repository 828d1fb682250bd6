"""A chain of rounds that is killed inside one of them and started again ends in the same bytes as one left alone."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from forked import killed
from tiny_steps import benchmark, edit, must

from reedbench.core import faults, io, paths
from reedbench.schema import planning

SPIN = """
  spin:
    rounds:
      times: 2
      of: {uses: self-play, label: SPIN, pool: {sampler: ode}, beta: 10, steps: 10}
      first: {method: sit, step: 10}
table: [sit, spin.2]
"""
VERBS = ("prepare", "train", "sample")
BROKEN = "--method spin.2"
SAVED = 6  # the last state of the second round before it is killed: one is kept every three steps


def chain(fault: str = "") -> int:
    """Everything before the numbers, as the plan's script has it; with a fault, in the second round alone."""
    for job in planning.jobs(benchmark()):
        if job.verb in VERBS:
            with pytest.MonkeyPatch.context() as patch:
                if fault and job.verb == "train" and BROKEN in job.arguments:
                    patch.setenv(faults.VARIABLE, fault)
                must(f"{job.verb} {job.arguments} --unless-fresh {job.done}")
    return 0


def outcome() -> dict[str, str]:
    """sha256 of all published weights, receipts and samples."""
    files = [*Path("results/runs").rglob("*.safetensors"), *Path("results/runs").rglob("segment-*.json")]
    files += Path("results/samples").rglob("samples.npz")
    return {str(file): io.sha256(file) for file in files if ".prov." not in file.name}


@pytest.fixture(scope="module")
def unbroken(make_workspace, tmp_path_factory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A workspace in which only the data are there, and what the chain ends in if it is left alone."""
    folder = make_workspace(tmp_path_factory.mktemp("rounds") / "fresh")
    with contextlib.chdir(folder):
        edit("table: [sit, repa, reed]", SPIN)
        edit("evaluate: [10, 20]", "evaluate: [10]")
        must("prepare --dataset digits")
        shutil.copytree(folder, folder.parent / "whole")
    with contextlib.chdir(folder.parent / "whole"):
        chain()
        yield folder, outcome()


@pytest.mark.parametrize("fault", ["before-step@8", "before-state@9", "before-publish@10"])
def test_a_chain_that_is_killed_in_its_second_round_ends_in_the_same_bytes(unbroken, fault, tmp_path, monkeypatch):
    fresh, expected = unbroken
    shutil.copytree(fresh, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    killed(lambda: chain(fault))
    assert not Path(paths.receipt("tiny", "spin.2", 0, 0)).exists()
    assert max(benchmark().run("spin.2", 0).store.state_steps()) >= SAVED
    first = Path(paths.receipt("tiny", "spin.1", 0, 0))
    made = first.stat().st_mtime_ns
    chain()
    assert outcome() == expected
    assert first.stat().st_mtime_ns == made  # what the second round learns from was not made again
    assert sum(name.endswith("samples.npz") for name in expected) == 3
