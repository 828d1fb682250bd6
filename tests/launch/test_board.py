"""One squeue for all launchers; a controller that is silent, slow or killed is never taken for an empty queue."""

import os
import subprocess
import sys
import time

import pytest

from reedbench.launch import board
from reedbench.launch.board import Board
from reedbench.launch.slurm import BUSY, Slurm
from reedbench.launch.ticket import Ticket

ROW = "17|RUNNING|n1|None|reedbench:x:train/a:1"


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Sets what squeue does, and counts its calls."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(board, "INTERVAL", 1e6)  # nothing grows old while a test runs
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "squeue"

    def does(text: str) -> None:
        program.write_text(f"#!/bin/sh\necho call >> {tmp_path}/calls\n{text}\n")
        program.chmod(0o755)

    does(f"echo '{ROW}'")
    does.calls = lambda: len((tmp_path / "calls").read_text().splitlines())  # type: ignore[attr-defined]
    return does


def test_launchers_share_one_answer_per_interval(squeue):
    tables = [Board().recent() for _ in range(20)]
    assert all(table.rows["17"].state == "RUNNING" for table in tables)
    assert squeue.calls() == 1


def test_newer_news_are_asked_for(squeue):
    first = Board().recent()
    assert Board().table(first.time).time > first.time
    assert squeue.calls() == 2


@pytest.mark.parametrize(
    "trouble", ["echo 'Unable to contact slurm controller' >&2; exit 1", "kill -9 $$", f"echo '{ROW}'; kill -2 $$"]
)
def test_no_answer_is_no_news_and_is_not_asked_for_again_at_once(squeue, trouble, capsys):
    squeue(trouble)
    own = Board()
    assert [own.recent() for _ in range(10)] == [None] * 10
    assert squeue.calls() == 1
    assert capsys.readouterr().err.count("squeue does not answer") == 1
    ticket = Ticket("reedbench:x:train/a:1", "slurm", "", [], 1, job="17", submitted=time.time() - 100)
    assert Slurm().alive(ticket)
    assert not Slurm().news(time.time())


def test_a_job_that_is_no_longer_listed_is_over(squeue):
    old = time.time() - 100
    for job, alive in (("17", True), ("18", False)):
        ticket = Ticket("reedbench:x:train/a:1", "slurm", "", [], 1, job=job, submitted=old)
        assert Slurm().alive(ticket) is alive
    site = Slurm()
    assert site.find("reedbench:x:train/a:") == []  # nothing is known before there is news
    assert site.news(old)
    assert site.find("reedbench:x:train/a:") == ["17"]
    assert site.find("reedbench:y:") == []


def test_without_slurm_a_launcher_says_so_and_ends(workspace, tmp_path):
    (tmp_path / "empty").mkdir()
    command = [sys.executable, "-m", "reedbench", *"launch --where slurm --key prepare/digits".split()]
    command += "--output results/data/digits/index.json -- step prepare --dataset digits".split()
    environment = {**os.environ, "PATH": str(tmp_path / "empty")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "Slurm refused the job" in done.stderr


def test_a_table_from_before_the_submission_says_nothing(squeue):
    Board().recent()
    ticket = Ticket("reedbench:x:train/a:1", "slurm", "", [], 1, job="18", submitted=time.time())
    assert Slurm().alive(ticket)


@pytest.mark.parametrize(
    ("said", "busy"),
    [
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", True),
        (
            "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Job violates accounting/QOS policy",
            True,
        ),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", True),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", True),
        ("sbatch: error: invalid partition specified: nowhere", False),
        ("sbatch: error: Batch job submission failed: Requested node configuration is not available", False),
    ],
)
def test_what_passes_by_itself_is_waited_for(said, busy):
    assert bool(BUSY.search(said)) is busy
