"""States of all jobs of this user from one `squeue` for all launchers of a working directory.

Needs no accounting: submitit's own watcher asks `sacct` alone, and without it waits for a killed job for ever.
N launchers cost one call per interval, not N. A job that is no longer listed is over.
"""

import getpass
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from reedbench.core import io, locks
from reedbench.core.console import say

INTERVAL = float(os.environ.get("REEDBENCH_SQUEUE_SECONDS", "10"))
TIMEOUT = 60
FORMAT = "%i|%T|%N|%r|%k"
OVER = frozenset(
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED REVOKED TIMEOUT".split()
)


@dataclass(frozen=True)
class Row:
    """One job as squeue lists it."""

    job: str
    state: str
    nodes: str
    reason: str
    comment: str

    @property
    def live(self) -> bool:
        """Waits, runs, is ending or will run again."""
        return self.state not in OVER


@dataclass(frozen=True)
class Table:
    """All rows at one time."""

    time: float
    rows: dict[str, Row]


class Board:
    """The shared table of a working directory."""

    def __init__(self, file: Path | str = "work/jobs/squeue.txt") -> None:
        self.file = Path(file).absolute()
        self.failed = self.file.with_suffix(".failed")
        self.silent = False

    def table(self, not_before: float) -> Table | None:
        """A table taken after `not_before`; nothing if there is none yet: ask again in a moment.

        Never waits for other launchers: one of them asks the controller, the others read its answer.
        """
        if (table := self._read(not_before)) is not None:
            return table
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("w") as lock:
            if not locks.taken(lock):
                return None
            if (table := self._read(not_before)) is not None or self._failed_lately():
                return table
            began = time.time()
            if (answer := self._ask()) is None:
                io.write_text(self.failed, str(began), shared=True)  # where there are no locks all launchers ask
                return None
            io.write_text(self.file, f"{began}\n{answer}", shared=True)
        return self._read(not_before)

    def recent(self) -> Table | None:
        """A table that is at most one interval old."""
        return self.table(time.time() - INTERVAL)

    def _read(self, not_before: float) -> Table | None:
        stamp, _, body = _text(self.file).partition("\n")
        if float(stamp or 0) <= not_before:
            return None
        return Table(float(stamp), {row.job: row for row in map(_row, body.splitlines()) if row})

    def _ask(self) -> str | None:
        command = ["squeue", "--states=all", "--noheader", "--user", getpass.getuser(), "--format", FORMAT]
        try:
            # Its own session: Ctrl-C is not for it, and half an answer would be taken for a whole one.
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, start_new_session=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            return self._no_answer(str(error))
        if done.returncode:
            return self._no_answer(done.stderr.strip() or f"ended with {done.returncode}")
        self.silent = False
        return done.stdout

    def _failed_lately(self) -> bool:
        return time.time() - float(_text(self.failed) or 0) < INTERVAL

    def _no_answer(self, reason: str) -> None:
        if not self.silent:
            say(f"squeue does not answer ({reason}); no news is no news, waiting")
        self.silent = True


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _row(line: str) -> Row | None:
    parts = line.split("|", 4)
    return Row(*parts) if len(parts) == 5 else None
