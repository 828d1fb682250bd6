"""All launched jobs of a working directory as they are now: their tickets, and what Slurm and this machine say."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import NamedTuple

from reedbench.core import paths
from reedbench.core.errors import MissingArtefact, RunAgain
from reedbench.launch import board, ticket
from reedbench.launch.job import Outcome, outcomes
from reedbench.launch.processes import Process
from reedbench.launch.site import log_files
from reedbench.launch.tail import last_line, written
from reedbench.launch.ticket import Desk, Ticket

# In the order in which they want to be seen.
FAILED, LOST, RUNNING, REQUEUED, QUEUED, STOPPED, WAITING, DONE = STATES = (
    "failed", "lost", "running", "requeued", "queued", "stopped", "waiting", "done",
)  # fmt: skip
LIVE = frozenset((RUNNING, REQUEUED, QUEUED))
# States in which a job of Slurm holds no node; all but the first come after a start.
PENDING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
GUESSED = "squeue does not answer here: the states of Slurm jobs are guessed from their logs"
GO_ON = "run the workflow again to go on"


class Verdict(NamedTuple):
    """How a job does."""

    state: str
    line: str | None = None
    """Why it waits, or its last words."""
    node: str | None = None


@dataclass(frozen=True)
class Job:
    """A launched job as it is now."""

    key: str
    ticket: Ticket
    verdict: Verdict

    @property
    def state(self) -> str:
        """One of STATES."""
        return self.verdict.state

    @property
    def live(self) -> bool:
        """Whether it runs, or will without anybody doing something."""
        return self.state in LIVE

    @property
    def said(self) -> float:
        """When it last wrote to its logs."""
        return written(*_logs(self.ticket))


class Jobs:
    """Looks at all jobs, as often as it is asked to."""

    def __init__(self) -> None:
        self.board = board.Board()

    def now(self) -> tuple[dict[str, Job], str]:
        """Every job by its key, and a line about what could not be asked."""
        tickets = dict(_tickets(Path(paths.job(""))))
        asked = any(one.where == "slurm" and one.state == ticket.SUBMITTED and one.job for one in tickets.values())
        table = self.board.recent() if asked and which("squeue") else None
        jobs = {key: Job(key, one, _verdict(key, one, table)) for key, one in tickets.items()}
        return jobs, GUESSED if asked and table is None else ""


def _tickets(root: Path) -> Iterator[tuple[str, Ticket]]:
    for folder, below, files in os.walk(root):
        below.sort()
        if "ticket.json" in files:
            below.clear()  # logs and staged outputs
            if one := ticket.read(Path(folder) / "ticket.json"):
                yield Path(folder).relative_to(root).as_posix(), one


def _verdict(key: str, one: Ticket, table: board.Table | None) -> Verdict:
    verdict = _submitted(key, one, table) if one.state == ticket.SUBMITTED else _settled(one)
    if verdict.state not in LIVE and all(Path(path).exists() for path in one.outputs):
        return Verdict(DONE)  # made since, perhaps without a launcher
    return verdict


def _settled(one: Ticket) -> Verdict:
    """Of a job whose end its launcher has seen."""
    state = {ticket.PUBLISHED: DONE, ticket.FAILED: FAILED}.get(one.state, STOPPED)
    meta = one.meta or {}
    return Verdict(state, meta.get("reason") or _words(one), meta.get("host"))


def _submitted(key: str, one: Ticket, table: board.Table | None) -> Verdict:
    """Of a job whose end no launcher has seen. It may have come all the same."""
    holder = Desk(paths.job(key)).holder()
    launcher = holder is not None and holder.alive()
    if ended := _ended(one, launcher):
        return ended
    if one.job is None:
        return Verdict(QUEUED, "waiting to be submitted") if launcher else Verdict(LOST, GO_ON)
    found = _on_slurm(one, table) if one.where == "slurm" else _in_a_process(one)
    return found or Verdict(LOST, "its launcher submits it again" if launcher else GO_ON)


def _ended(one: Ticket, launcher: bool) -> Verdict | None:
    through = _outcomes(one)
    for outcome in through:
        if outcome.code:
            state = STOPPED if outcome.code == RunAgain.exit_code else FAILED
            return Verdict(state, outcome.reason or _words(one), outcome.host)
    if len(through) < one.ranks:
        return None
    if launcher:
        return Verdict(RUNNING, "ended, about to be published", through[0].host)
    return Verdict(STOPPED, "ended well: run the workflow again to collect it", through[0].host)


def _on_slurm(one: Ticket, table: board.Table | None) -> Verdict | None:
    started = one.attempts > 1 or any(file.exists() for file in _logs(one))
    waits = REQUEUED if started else QUEUED
    if table is None:
        return Verdict(RUNNING, _words(one)) if started else Verdict(QUEUED)
    row = table.rows.get(one.job or "")
    if row is None and table.time <= one.submitted + 1:
        return Verdict(waits, "just submitted")
    if row is None or not row.live:
        return None
    if row.state not in PENDING:
        return Verdict(RUNNING, _words(one), row.nodes)
    reason = "waiting" if row.reason in ("", "None") else f"waiting: {row.reason}"
    return Verdict(waits if row.state == PENDING[0] else REQUEUED, reason)


def _in_a_process(one: Ticket) -> Verdict | None:
    if one.process is None:
        return None
    controller = Process(**one.process)
    return Verdict(RUNNING, _words(one), controller.host) if controller.alive() else None


def _outcomes(one: Ticket) -> list[Outcome]:
    try:
        return outcomes(Path(one.folder))
    except (OSError, MissingArtefact, TypeError):  # just tidied up by its launcher, or of another version
        return []


def _logs(one: Ticket) -> list[Path]:
    """Standard error first: there a step says how it ended."""
    return log_files(Path(one.folder), str(one.job), 0)[::-1]


def _words(one: Ticket) -> str | None:
    return last_line(*_logs(one))
