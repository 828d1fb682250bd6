"""A job that is lost after it saved something new uses up no submission; how early one is warned its saves decide."""

import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import submitit

from reedbench.core import interruption, io, staging
from reedbench.core.errors import RunAgain
from reedbench.launch import job, launcher, saves
from reedbench.launch.job import Outcome, StepJob
from reedbench.launch.launcher import RESUBMISSIONS, Launcher
from reedbench.launch.resources import Request

OUTPUT = "results/made.json"


class Fleeting:
    """A site whose jobs end at once: each saves up to a step, or nothing (0), or ends well (None)."""

    name, interval = "local", 0.0

    def __init__(self, ends):
        self.ends, self.jobs = list(ends), []

    def submit(self, request, work, ticket):
        self.jobs.append(work)
        ticket.job, folder = str(len(self.jobs)), Path(ticket.folder)
        end = self.ends.pop(0)
        if end is None:
            io.write_json(Path(work.folder) / "stage" / OUTPUT, "made")
            outcome = Outcome(0, 0, ticket.job, "here", 1.0, 1, 0)
            io.write_json(folder / "outcome-0.json", asdict(outcome))
            (folder / f"{ticket.job}_0_result.pkl").touch()
        elif end:
            saves.note(folder, end, 0.5)

    def news(self, since):
        return True

    def find(self, comment):
        return []

    def alive(self, ticket, since=0.0):
        return False

    def cancel(self, ticket):
        return True


@pytest.fixture
def launch(workspace, monkeypatch):
    monkeypatch.setattr(launcher, "GRACE", 0.0)
    monkeypatch.setattr(Launcher, "_pause", lambda self, seconds: None)

    def run(*ends, runtime=60):
        site = Fleeting(ends)
        request = Request("local", "train/tiny/sit/seed0/segment-0", (OUTPUT,), runtime=runtime)
        return Launcher(site, request, ["step", "train"], "cancel").run(), site

    return run


def test_jobs_that_save_something_new_may_be_lost_as_often_as_it_takes(launch, capfd):
    code, site = launch(*range(1, 11), None)
    assert code == 0
    assert len(site.jobs) == 11
    assert Path(OUTPUT).exists()
    assert "was lost: it ended without a result; its state of step 10 is saved" in capfd.readouterr().err


def test_jobs_that_save_nothing_new_are_given_up(launch, capfd):
    code, site = launch(6, *[6] * 10)
    assert code == RunAgain.exit_code
    assert len(site.jobs) == 1 + RESUBMISSIONS + 1
    assert f"given up after {RESUBMISSIONS + 1} submissions in a row that saved nothing" in capfd.readouterr().err


def test_progress_gives_all_submissions_back(launch):
    code, site = launch(0, 0, 0, 5, 0, 0, 0, None)
    assert code == 0
    assert len(site.jobs) == 8


def test_the_next_job_of_the_run_is_warned_by_the_longest_save(workspace):
    desk = Path("work/jobs/train/tiny/sit/seed0/segment-0")
    assert saves.warning_seconds(desk, 60) == saves.WARNING_SECONDS
    saves.note(desk / "submission-1", 100, 216.0)
    saves.note(desk / "submission-1", 200, 30.0)
    assert saves.progress(desk / "submission-1") == 200
    assert saves.warning_seconds(desk.with_name("segment-1"), 60) == 462  # 11 GB at 50 MB/s, twice, and a margin
    assert saves.warning_seconds(desk.with_name("segment-1"), 10) == 300  # never more than half of the time
    assert saves.warning_seconds(Path("work/jobs/train/tiny/sit/seed1/segment-0"), 60) == saves.WARNING_SECONDS


def test_what_is_asked_of_the_site_is_that_warning(launch):
    saves.note(Path("work/jobs/train/tiny/sit/seed0/segment-7/submission-1"), 1, 100.0)
    _, site = launch(None)
    assert site.jobs[0].warning == 230


# ---- in the job


@pytest.fixture
def running(workspace, monkeypatch):
    """A job of 60 minutes that was told of short saves, with what it leaves behind put back."""

    class Environment:
        global_rank, job_id, num_tasks, num_nodes, hostname = 0, "7", 1, 1, "here"

        def name(self):
            return "local"

    monkeypatch.setattr(submitit, "JobEnvironment", Environment)
    for name in ("OMP_NUM_THREADS", job.GPUS_VARIABLE, staging.VARIABLE, job.JOB_VARIABLE):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGALRM)}
    folder = Path("work/jobs/train/a/submission-1").absolute()
    folder.mkdir(parents=True)
    yield job._Running(StepJob(("step", "train"), str(folder), 1, 0, 60, saves.WARNING_SECONDS))
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    interruption.listen(None)
    interruption.answered()


def run_step(running, monkeypatch, step):
    from reedbench import steps

    monkeypatch.setattr(steps, "main", step)
    return running.run()


def test_a_job_whose_saves_are_long_warns_itself_earlier(running, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 462 + 1))
    asked = []

    def step(argv):
        with interruption.deferred():
            interruption.saved(5, 216.0)
            end = time.monotonic() + 60
            while not interruption.wanted() and time.monotonic() < end:
                time.sleep(0.01)
            asked.append(interruption.wanted())
            interruption.answered()
        return 0

    assert run_step(running, monkeypatch, step) == 0
    assert asked == [interruption.LEAVE]
    assert running._out_of_time()
    assert saves.progress(running.folder) == 5


def test_a_job_whose_saves_are_short_leaves_the_warning_to_the_site(running, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 10))

    def step(argv):
        interruption.saved(5, 1.0)
        return 0

    assert run_step(running, monkeypatch, step) == 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_limit_that_is_too_short_for_its_saves_is_said(running, monkeypatch, capfd):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 3600))

    def step(argv):
        interruption.saved(5, 2000.0)
        return 0

    assert run_step(running, monkeypatch, step) == 0
    assert "a save takes 2000 s: too long for a limit of 60 min; raise runtime" in capfd.readouterr().err
    assert 1700 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1800
