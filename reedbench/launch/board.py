"""States of all jobs of this user from one `squeue` for all launchers of a working directory.

Needs no accounting: submitit's own watcher asks `sacct` alone, and without it waits for a killed job for ever.
N launchers cost one call per interval, not N. A job that is no longer listed is over.
"""

import fcntl
import getpass
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

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
        self.silent_since = 0.0

    def table(self, not_before: float) -> Table | None:
        """A table taken after `not_before`; nothing while the controller does not answer."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # who comes while another asks waits, and reads its answer
            file.seek(0)
            stamp, _, body = file.read().partition("\n")
            taken = float(stamp or 0)
            if taken <= not_before:
                taken = time.time()
                answer = self._ask()
                if answer is None:
                    return None
                body = answer
                file.seek(0)
                file.truncate()
                file.write(f"{taken}\n{body}")
        return Table(taken, {row.job: row for row in map(_row, body.splitlines()) if row})

    def recent(self) -> Table | None:
        """A table that is at most one interval old."""
        return self.table(time.time() - INTERVAL)

    def _ask(self) -> str | None:
        command = ["squeue", "--states=all", "--noheader", "--user", getpass.getuser(), "--format", FORMAT]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
            problem = "" if done.returncode == 0 else done.stderr.strip()
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if problem:
            if not self.silent_since:
                say(f"squeue does not answer ({problem}); no news is no news, waiting")
            self.silent_since = self.silent_since or time.time()
            return None
        self.silent_since = 0.0
        return done.stdout


def _row(line: str) -> Row | None:
    parts = line.split("|", 4)
    return Row(*parts) if len(parts) == 5 else None
