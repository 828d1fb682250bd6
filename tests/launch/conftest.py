"""A working directory in which runs and jobs have left what they leave, without any of them having run."""

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from reedbench.core import io, paths
from reedbench.launch.status import Report, Row, Status
from reedbench.launch.ticket import Ticket, comment_of
from reedbench.schema import runs, words
from reedbench.schema.suite import load


def _date(file: Path, ago: float, now: float | None = None) -> None:
    then = (time.time() if now is None else now) - ago
    os.utime(file, (then, then))


class Scene:
    """Leaves files of the tiny benchmark's runs (2 segments of 10 steps) and jobs, and asks for the status."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        self.suite = load()

    def key(self, method: str = "sit") -> str:
        return runs.of(self.suite, "tiny", method, 0).key

    def grid(self, segment: int) -> str:
        return runs.benchmark(self.suite, "tiny").course.grid(segment)

    def store(self, method: str = "sit", key: str | None = None) -> Path:
        store = Path(paths.store("tiny", method, 0, key or self.key(method)))
        store.mkdir(parents=True, exist_ok=True)
        return store

    def receipts(self, count: int, method: str = "sit", key: str | None = None) -> None:
        for i in range(count):
            span = {"start": 10 * i, "stop": 10 * (i + 1)}
            receipt = {"key": key or self.key(method), **span, "parameters": 1, "weights": {}}
            io.write_json(paths.receipt("tiny", method, 0, i), receipt)

    def state(self, step: int, key: str | None = None) -> None:
        file = self.store(key=key) / "state" / f"{paths.step_name(step)}.safetensors"
        file.parent.mkdir(exist_ok=True)
        file.touch()

    def event(self, done: int, *, ago: float = 0.0, **numbers: float) -> None:
        """One line of progress; the process that wrote it had taken the store just before."""
        now = time.time()
        event = {
            "time": now - ago,
            "title": "tiny/sit/seed0",
            "total": 10,
            "done": done,
            "rate": 2.0,
            **numbers,
        }
        with (self.store() / "events.jsonl").open("a") as file:
            file.write(json.dumps(event) + "\n")
        self.taken(ago + 1, now)

    def taken(self, ago: float = 0.0, now: float | None = None) -> None:
        (self.store() / "lock").touch()
        _date(self.store() / "lock", ago, now)

    def ticket(self, *, segment: int = 0, key: str | None = None, **fields: Any) -> Ticket:
        """A training job's ticket."""
        name = words.train_key("tiny", "sit", 0, segment)
        line = words.train("tiny", "sit", 0, segment, key or self.key(), self.grid(segment))
        receipt = paths.receipt("tiny", "sit", 0, segment)
        return self.other_ticket(name, **{"comment": comment_of(name, line.split()), "outputs": [receipt], **fields})

    def other_ticket(self, name: str, **fields: Any) -> Ticket:
        desk = Path(paths.job(name))
        (desk / "submission").mkdir(parents=True)
        known = {"comment": "", "where": "slurm", "folder": str(desk.absolute() / "submission"), "outputs": ["missing"]}
        ticket = Ticket(**{**known, "ranks": 1, "job": "7", "submitted": time.time() - 100, **fields})
        io.write_json(desk / "ticket.json", asdict(ticket))
        return ticket

    def log(self, ticket: Ticket, text: str, end: str = "err", *, ago: float = 0.0) -> None:
        file = Path(ticket.folder) / f"{ticket.job}_0_log.{end}"
        file.write_text(text)
        _date(file, ago)

    def outcome(self, ticket: Ticket, code: int, reason: str = "") -> None:
        numbers = {"rank": 0, "job": "7", "seconds": 1.0, "max_rss_mb": 1, "restarts": 0}
        io.write_json(Path(ticket.folder) / "outcome-0.json", {"code": code, "host": "n2", "reason": reason, **numbers})

    def squeue(self, *rows: str) -> None:
        """Put a squeue in the PATH that says this: job|state|nodes|reason|comment."""
        program = self.programs / "squeue"
        program.write_text("#!/bin/sh\n" + "".join(f"echo '{row}'\n" for row in rows))
        program.chmod(0o755)

    def report(self, benchmark: str = "") -> Report:
        return Status(self.suite, benchmark).now()

    def run(self, method: str = "sit") -> Row:
        return {row.name: row for row in self.report().rows}[f"tiny/{method}/seed0"]


@pytest.fixture
def scene(workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Nothing has happened yet, and this machine has no squeue."""
    programs = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(programs))
    return Scene(workspace, programs)
