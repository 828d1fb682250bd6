"""Mode `slurm`: submitit submits the step as a job; nothing but sbatch, squeue, scancel and scontrol is needed."""

import os
import re
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from reedbench.core.errors import ConfigError
from reedbench.launch.board import INTERVAL, Board, Table
from reedbench.launch.job import StepJob
from reedbench.launch.launcher import launch
from reedbench.launch.resources import Request
from reedbench.launch.site import Busy
from reedbench.launch.ticket import Ticket

PYTHON = "REEDBENCH_JOB_PYTHON"  # what starts Python on a node, e.g. `apptainer exec image.sif python`
KEPT = ("SLURM_CONF", "SLURM_CLUSTERS")  # which cluster to talk to
HIDDEN = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
RANK_NAMES = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
BUSY = re.compile(
    r"timed out|unable to contact|temporarily|try again|connection refused|transport endpoint|zero bytes|standby"
    r"|MaxSubmit|MaxJobsSubmit",
    re.IGNORECASE,
)
CANCEL_SECONDS = 30
WITHOUT_END = 10**6  # requeues: a segment may take as many time limits as it needs


def run(request: Request, step: Sequence[str], on_interrupt: str) -> int:
    """Run a step as a Slurm job; returns its exit code."""
    return launch(Slurm(), request, step, on_interrupt)


class Slurm:
    """The cluster that `sbatch` talks to."""

    name = "slurm"

    def __init__(self) -> None:
        self.board, self.interval = Board(), INTERVAL
        self.latest: Table | None = None

    def submit(self, request: Request, job: StepJob, ticket: Ticket) -> None:
        """Run sbatch."""
        try:
            ticket.job = self._sbatch(request, job, ticket)
        except (RuntimeError, OSError) as error:  # submitit's words for a failed sbatch, and for none at all
            reason = _last_line(error)
            if BUSY.search(str(error)):
                raise Busy(reason) from error
            raise ConfigError(f"{request.key}: Slurm refused the job: {reason}") from error

    def news(self, since: float) -> bool:
        """Whether squeue was asked after `since`."""
        table = self.board.table(since)
        self.latest = table or self.latest
        return table is not None

    def find(self, comment: str) -> list[str]:
        """Living jobs whose comment begins so, in the table of the latest `news`."""
        rows = self.latest.rows.values() if self.latest else ()
        return [row.job for row in rows if row.live and row.comment.startswith(comment)]

    def alive(self, ticket: Ticket, since: float = 0.0) -> bool:
        """Whether squeue lists the job as anything but ended; a job that it has forgotten is over."""
        # A table taken before the job was submitted says nothing about it.
        table = self.board.recent()
        if table is None or table.time <= max(ticket.submitted + 1, since):
            return True
        row = table.rows.get(str(ticket.job))
        return row is not None and row.live

    def cancel(self, ticket: Ticket) -> bool:
        """Ask Slurm to end the job."""
        for _ in range(2):
            try:
                command = ["scancel", str(ticket.job)]
                done = subprocess.run(command, capture_output=True, timeout=CANCEL_SECONDS, start_new_session=True)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                return True
        return False

    def _sbatch(self, request: Request, job: StepJob, ticket: Ticket) -> str:
        import submitit

        with _outside_job():
            executor = submitit.SlurmExecutor(
                ticket.folder, max_num_timeout=WITHOUT_END, python=os.environ.get(PYTHON) or None
            )
            executor.update_parameters(**parameters(request, ticket.comment, job.warning))
            with warnings.catch_warnings(action="ignore"):
                return str(executor.submit(job).job_id)


def parameters(request: Request, comment: str, warning: int) -> dict[str, Any]:
    """What the job asks for, in submitit's words for sbatch; `warning` is in seconds before the time limit."""
    given = {
        "job_name": request.key,
        "time": request.runtime,
        "mem": f"{request.mem_mb}MB",
        "nodes": request.nodes,
        "ntasks_per_node": request.tasks_per_node,
        "cpus_per_task": request.cpus,
        "gpus_per_node": request.gpus or None,
        "partition": request.partition or None,
        "account": request.account or None,
        "qos": request.qos or None,
        "constraint": request.constraint or None,
        "comment": comment,
        "signal_delay_s": warning,
        # Since 22.05 srun does not inherit --cpus-per-task. A rank that dies ends the others, which would wait for it.
        "srun_args": [f"--cpus-per-task={request.cpus}", "--kill-on-bad-exit=1"],
        "additional_parameters": {"requeue": True, **request.extra_options()},
    }
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def _outside_job() -> Iterator[None]:
    """Hide the job that this launcher may itself run in, and what would overrule the request; but not the cluster.

    submitit's own `clean_env` also drops SLURM_CONF, and sbatch then talks to another cluster.
    """
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name not in KEPT and (name.startswith(HIDDEN) or name in RANK_NAMES)
    }
    try:
        yield
    finally:
        os.environ |= hidden


def _last_line(error: Exception) -> str:
    """What sbatch said."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if "sbatch:" in line or "error:" in line]
    return (said or lines or [type(error).__name__])[-1].removeprefix("sbatch: ").removeprefix("error: ")


__all__ = ["Slurm", "parameters", "run"]
