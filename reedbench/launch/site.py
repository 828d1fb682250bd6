"""What the launcher asks of the place where jobs run."""

from pathlib import Path
from typing import Protocol

from reedbench.launch.job import StepJob
from reedbench.launch.resources import Request
from reedbench.launch.ticket import Ticket


class Busy(Exception):
    """The site takes no job at the moment."""


class Site(Protocol):
    """A cluster, or this machine.

    Attributes:
        name: as in the configuration.
        interval: seconds that may lie between two looks at the state of jobs.
    """

    name: str
    interval: float

    def submit(self, request: Request, job: StepJob, ticket: Ticket) -> None:
        """Start the job in `ticket.folder`, and write its number (and process) into the ticket.

        Raises:
            Busy: not now; says why in its words.
            ConfigError: the site will never take this job; says why in its words.
        """
        ...

    def news(self, since: float) -> bool:
        """Whether the state of jobs is known as of later than `since`; else ask again in a moment."""
        ...

    def find(self, comment: str) -> list[str]:
        """Living jobs whose comment begins so, by the latest news."""
        ...

    def alive(self, ticket: Ticket, since: float = 0.0) -> bool:
        """Whether the job of a ticket waits, runs or is requeued; true where there is no news from after `since`."""
        ...

    def cancel(self, ticket: Ticket) -> bool:
        """End the job of a ticket; says whether the site has heard."""
        ...


def log_files(folder: Path, job: str, rank: int) -> list[Path]:
    """Standard output and standard error of a rank, as submitit names them."""
    return [folder / f"{job}_{rank}_log.{end}" for end in ("out", "err")]
