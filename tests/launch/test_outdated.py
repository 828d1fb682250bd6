"""A job that ended while nobody waited is collected by its own words only, and these name the recipe of its run."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from reedbench.core import io, paths
from reedbench.launch import ticket
from reedbench.launch.job import Outcome, StepJob, outcome_file, stage
from reedbench.launch.launcher import launch
from reedbench.launch.resources import Request
from reedbench.launch.ticket import Desk, Ticket, comment_of
from reedbench.schema import words

CELL = ("tiny", "sit", 0, "0000010", "ode")
KEY = "sample/tiny/sit/seed0/step-0000010/ode"
OUTPUT = "results/metrics/tiny/one.json"
OLD, NEW = "a" * 12, "b" * 12


def leave(folder: Path, said: str, job: str) -> None:
    """What a job leaves that ends well."""
    io.write_json(stage(folder) / OUTPUT, said)
    io.write_json(outcome_file(folder, 0), asdict(Outcome(0, 0, job, "n1", 1.0, 1, 0)))
    (folder / f"{job}_0_result.pkl").touch()


class Instant:
    """A cluster on which every job has ended well as soon as it is submitted."""

    name, interval = "slurm", 0.0

    def __init__(self) -> None:
        self.submitted: list[tuple[str, ...]] = []

    def submit(self, request: Request, job: StepJob, ticket: Ticket) -> None:
        self.submitted.append(job.step)
        ticket.job = "8"
        leave(Path(ticket.folder), "new", ticket.job)

    def news(self, since: float) -> bool:
        return True

    def find(self, comment: str) -> list[str]:
        return []

    def alive(self, ticket: Ticket, since: float = 0.0) -> bool:
        return False

    def cancel(self, ticket: Ticket) -> bool:
        raise AssertionError("nothing lives here")


def sample(recipe: str) -> list[str]:
    return words.sample(words.cell(*CELL), "0" * 12, recipe).split()


def evaluate(recipe: str, sampling: str = "1" * 12) -> list[str]:
    return words.evaluate(words.cell(*CELL), "0" * 12, recipe, sampling).split()


@pytest.mark.parametrize(
    ("then", "now", "published"),
    [
        (sample(OLD), sample(OLD), "old"),
        (sample(OLD), sample(NEW), "new"),
        (evaluate(OLD), evaluate(OLD), "old"),
        (evaluate(OLD), evaluate(NEW), "new"),
        (evaluate(OLD, "2" * 12), evaluate(OLD), "new"),
    ],
)
def test_only_a_job_of_the_same_recipe_and_samples_is_collected(tmp_path, monkeypatch, then, now, published):
    monkeypatch.chdir(tmp_path)
    desk = Desk(paths.job(KEY))
    folder = desk.folder.absolute() / "submission-1"
    folder.mkdir()
    leave(folder, "old", "7")
    desk.write(Ticket(comment_of(KEY, then), "slurm", str(folder), [OUTPUT], 1, job="7"))
    site = Instant()
    assert launch(site, Request("slurm", KEY, (OUTPUT,)), now, "cancel") == 0
    assert json.loads(Path(OUTPUT).read_text()) == published
    assert site.submitted == ([] if published == "old" else [tuple(now)])
    assert desk.read().state == ticket.PUBLISHED
