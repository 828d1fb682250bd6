"""The ticket of a launched job: written before it is submitted, so that no crash loses a job or makes a second one.

no live job, no outcome        never submitted, or lost: submit
live job with this comment     submitted by an earlier launcher: wait for it
outcome, under this comment    ended while nobody waited: collect it
live job with another comment  its configuration is outdated: cancel it, then submit
outcome, under another comment outdated too: submit
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reedbench.core import io, locks
from reedbench.core.console import say
from reedbench.core.errors import MissingArtefact
from reedbench.launch.processes import Process

SUBMITTED, CANCELLED, PUBLISHED, FAILED = "submitted", "cancelled", "published", "failed"


@dataclass
class Ticket:
    """The newest submission of a job."""

    comment: str
    where: str
    folder: str
    outputs: list[str]
    ranks: int
    state: str = SUBMITTED
    job: str | None = None
    process: dict[str, Any] | None = None
    """The controller of a local job."""
    submitted: float = 0.0
    attempts: int = 1
    meta: dict[str, Any] | None = None
    """Outcome of the first rank."""


def comment_of(key: str, step: Sequence[str]) -> str:
    """The comment that a job carries: workspace, key, and a hash of the step's words.

    Among these words are the keys of what the result depends on: `--expect` of configuration and step version, and of
    a run's jobs those that `schema.words` adds. The workspace is there because another clone's jobs are not ours to
    touch.
    """
    here = hashlib.sha256(os.path.realpath(".").encode()).hexdigest()[:8]
    return f"reedbench:{here}:{key}:{hashlib.sha256(json.dumps(list(step)).encode()).hexdigest()[:12]}"


class Desk:
    """The private folder of one job, held by one launcher at a time."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> Ticket | None:
        """The ticket, if there is a whole one."""
        return read(self.folder / "ticket.json")

    def write(self, ticket: Ticket) -> None:
        """Replace the ticket."""
        io.write_json(self.folder / "ticket.json", asdict(ticket))

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the folder alone, waiting for another launcher of the same job; says whether there was one."""
        with (self.folder / "lock").open("a+") as file:
            waited = not locks.taken(file)
            if waited:
                say("another launcher holds this job; waiting for it")
                locks.wait(file)
            file.seek(0)
            file.truncate()
            file.write(json.dumps(Process.this().plain()))
            file.flush()
            yield waited

    def holder(self) -> Process | None:
        """The launcher that holds the folder."""
        try:
            return Process(**json.loads((self.folder / "lock").read_text()))
        except (OSError, ValueError, TypeError):
            return None


def read(file: Path) -> Ticket | None:
    """A ticket, if there is a whole one."""
    try:
        return Ticket(**io.read_json(file)) if file.exists() else None
    except (MissingArtefact, TypeError):  # damaged, or of another version
        return None
