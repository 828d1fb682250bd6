"""SIMULATION of a cluster: jobs that are numbers in a heap. No step runs, no process is started.

The scripts in `bin/`, first in PATH, hand submissions over in a folder. After a random time a job leaves what a real
one would: its staged outputs, here with contents that follow from the job's key alone, and its outcome. Some are lost:
they vanish from the queue half way, as if their node had died and Slurm had forgotten them.

    python server.py FOLDER --losses 0.05 --seconds 30 90 --seed 0        # until SIGTERM; leaves FOLDER/events.jsonl
"""

import argparse
import hashlib
import heapq
import json
import platform
import random
import re
import shlex
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reedbench.core import io
from reedbench.launch.job import Outcome, outcome_file, stage

TICK = 0.05
FORGOTTEN_AFTER = 300.0  # MinJobAge, slurm.conf's default: how long squeue lists a job that has ended
PENDING = 2.0


def content(key: str, output: str) -> str:
    """What a simulated job writes."""
    return hashlib.sha256(f"{key} {output}".encode()).hexdigest() + "\n"


def file_of(output: str) -> Path:
    """The file that holds an output's content: itself, or one in it where it is a folder."""
    return Path(output) if Path(output).suffix else Path(output) / "content.txt"


@dataclass
class Job:
    """One submission."""

    number: int
    key: str
    comment: str
    folder: Path
    outputs: list[str]
    seconds: float
    lost: bool
    state: str = "PENDING"

    def row(self) -> str:
        """Its line as board.py asks for it: number, state, nodes, reason, comment."""
        return f"{self.number}|{self.state}|simulated|None|{self.comment}\n"


@dataclass
class Cluster:
    """The queue and the clock."""

    folder: Path
    losses: float
    seconds: tuple[float, float]
    seed: int
    jobs: dict[int, Job] = field(default_factory=dict)
    agenda: list[tuple[float, int, str]] = field(default_factory=list)
    submissions: Counter[str] = field(default_factory=Counter)

    def tick(self) -> None:
        """Let everything happen that is due."""
        entered = [self.enter(file) for file in sorted((self.folder / "inbox").glob("[0-9]*"))]
        for file in (self.folder / "cancelled").iterdir():
            file.unlink()
            if int(file.name) in self.jobs:
                self.end(self.jobs[int(file.name)], "CANCELLED")
        due = 0
        while self.agenda and self.agenda[0][0] <= time.time():
            _, number, what = heapq.heappop(self.agenda)
            due += number in self.jobs
            if number in self.jobs:
                self.act(self.jobs[number], what)
        if entered or due:
            io.write_text(self.folder / "queue", "".join(job.row() for job in self.jobs.values()))
        for file in entered:  # sbatch answers only now: what it has accepted, squeue lists
            file.unlink()

    def enter(self, file: Path) -> Path:
        """Take a submission."""
        options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", file.read_text(), re.MULTILINE))
        said = {name: shlex.split(value)[0] for name, value in options.items()}
        key = said["job-name"]
        self.submissions[key] += 1
        fate = random.Random(f"{self.seed} {key} {self.submissions[key]}")  # whatever the order of submission
        lost = fate.random() < self.losses
        seconds = fate.uniform(*self.seconds) * (0.5 if lost else 1)
        folder = Path(said["output"]).parent
        outputs = io.read_json(folder.parent / "ticket.json")["outputs"]
        job = Job(int(file.name), key, said["comment"], folder, outputs, seconds, lost)
        self.jobs[job.number] = job
        self.later(PENDING, job, "RUNNING")
        self.later(PENDING + seconds, job, "LOST" if lost else "COMPLETED")
        self.note(job, "SUBMITTED")
        return file

    def act(self, job: Job, what: str) -> None:
        """Bring a job into its next state."""
        if what == "FORGOTTEN":
            del self.jobs[job.number]
        elif what == "RUNNING" and job.state == "PENDING":
            job.state = what
        elif job.state == "RUNNING":
            if what == "COMPLETED":
                self.finish(job)
            self.end(job, what)

    def finish(self, job: Job) -> None:
        """Leave outputs and outcome, as launch/job.py does."""
        if not job.folder.exists():  # given up by its launcher; the final check tells
            return
        for output in job.outputs:
            file = stage(job.folder) / file_of(output)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content(job.key, output))
        outcome = Outcome(0, 0, str(job.number), platform.node(), job.seconds, 0, 0)
        io.write_json(outcome_file(job.folder, 0), asdict(outcome))

    def end(self, job: Job, state: str) -> None:
        """Take a job from the nodes."""
        job.state = state
        self.note(job, state)
        self.later(0 if state == "LOST" else FORGOTTEN_AFTER, job, "FORGOTTEN")

    def later(self, seconds: float, job: Job, what: str) -> None:
        """Plan something."""
        heapq.heappush(self.agenda, (time.time() + seconds, job.number, what))

    def note(self, job: Job, what: str) -> None:
        """Remember for the final check."""
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps({"time": time.time(), "job": job.number, "key": job.key, "what": what}) + "\n")


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--losses", type=float, default=0.05)
    parser.add_argument("--seconds", type=float, nargs=2, default=(30, 90), help="shortest and longest job")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in ("inbox", "cancelled"):
        (given.folder / name).mkdir()
    for name, text in {"queue": "", "calls": "", "events.jsonl": "", "last": "0\n"}.items():
        (given.folder / name).write_text(text)
    cluster = Cluster(given.folder, given.losses, tuple(given.seconds), given.seed)
    while True:
        cluster.tick()
        time.sleep(TICK)


if __name__ == "__main__":
    main()
