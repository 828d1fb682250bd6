"""What runs in a submitted job: one step, in the process that submitit started, with its signals and its ranks.

Each rank leaves `outcome-<rank>.json` in the job's folder when it is through; without it the job was lost. What a
cluster may do meanwhile:

- SIGUSR2, before the time limit or a preemption: save the state, requeue, leave. A job whose saves take longer than
  its submission knew of gives itself the same warning earlier, by SIGALRM.
- SIGTERM, before a preemption or a cancellation: save the state and go on until killed.
- SIGKILL at any moment: the state on disk is what there is.
"""

import json
import logging
import os
import platform
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from reedbench.core import interruption, io
from reedbench.core.console import say
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import RunAgain
from reedbench.core.provenance import JOB_VARIABLE
from reedbench.core.staging import VARIABLE as STAGE_VARIABLE
from reedbench.launch import saves

SLACK_SECONDS = 60
STARTUP_SECONDS = 60  # between the start of the job and that of Python in it


@dataclass(frozen=True)
class Outcome:
    """How one rank ended, and what it took."""

    code: int
    rank: int
    job: str
    host: str
    seconds: float
    max_rss_mb: int
    restarts: int
    signalled: bool = False
    """It was asked to save or to leave: the cluster may be about to start it again."""
    reason: str = ""


def outcome_file(folder: Path, rank: int) -> Path:
    """Where a rank leaves its outcome."""
    return folder / f"outcome-{rank}.json"


def outcomes(folder: Path) -> list[Outcome]:
    """Outcomes so far, by rank."""
    # Listing the folder makes NFS look again; asking for one name may be answered from its cache.
    names = sorted(name for name in os.listdir(folder) if name.startswith("outcome-") and name.endswith(".json"))
    return sorted((Outcome(**io.read_json(folder / name)) for name in names), key=lambda outcome: outcome.rank)


def stage(folder: Path) -> Path:
    """Where a job writes its outputs."""
    return folder / "stage"


@dataclass(frozen=True)
class StepJob:
    """The callable that submitit pickles: names and numbers only, so that any node with the same package reads it."""

    step: tuple[str, ...]
    folder: str
    threads: int
    gpus: int
    minutes: int
    warning: int
    """Seconds before its time limit at which it is told to save and leave."""

    def __call__(self) -> int:
        """Run the step in this process; a code other than 0 ends it with that code, so that srun ends other ranks."""
        return _Running(self).run()

    def checkpoint(self) -> Any:
        """What submitit runs after a requeue: the same again, since the state is on disk."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


class _Running:
    """One rank of a job, from its start to its end."""

    def __init__(self, work: StepJob) -> None:
        import submitit

        self.work, self.folder, self.began = work, Path(work.folder), time.monotonic()
        self.environment = submitit.JobEnvironment()
        self.rank, self.job = self.environment.global_rank, self.environment.job_id
        self.requeue_by_submitit: Any = signal.getsignal(signal.SIGUSR2)
        self.signalled = False
        self.warning = work.warning

    def run(self) -> int:
        outcome_file(self.folder, self.rank).unlink(missing_ok=True)  # of an earlier life
        self._set_environment()
        signal.signal(signal.SIGUSR2, self._asked_to_leave)
        signal.signal(signal.SIGTERM, self._asked_to_save)
        signal.signal(signal.SIGALRM, self._asked_to_leave)
        interruption.listen(self._saved)
        try:
            from reedbench import steps

            code = steps.main(self.work.step[1:])
        except BaseException as error:
            self._leave_outcome(1, reason=f"{type(error).__name__}: {error}")
            raise
        if code == RunAgain.exit_code and interruption.wanted() == interruption.LEAVE:
            self._requeue()
        if code == RunAgain.exit_code and self.signalled:
            sys.exit(code)  # no outcome: the cluster starts it again, or it counts as lost
        self._leave_outcome(code)
        if code:
            sys.exit(code)
        return code

    def _set_environment(self) -> None:
        """What the step reads; before anything heavy is imported."""
        here = self.environment
        known = {
            "launcher": here.name(),
            "id": self.job,
            "restarts": _restarts(),
            "nodes": here.num_nodes,
            "ranks": here.num_tasks,
            "node": os.environ.get("SLURMD_NODENAME", here.hostname),
            "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        }
        os.environ |= {
            # Read by OpenMP and BLAS when they are loaded, which no module has done yet.
            "OMP_NUM_THREADS": str(self.work.threads),
            GPUS_VARIABLE: str(self.work.gpus),
            STAGE_VARIABLE: str(stage(self.folder)),
            JOB_VARIABLE: json.dumps(known),
        }
        if here.num_tasks > 1:
            import submitit

            # CUDA_VISIBLE_DEVICES stays as the cluster set it: the local rank is an index into it, no device number.
            ranks = submitit.helpers.TorchDistributedEnvironment()
            ranks.export(set_cuda_visible_devices=False, overwrite=True)

    def _asked_to_save(self, signum: int, frame: FrameType | None) -> None:
        self.signalled = True
        interruption.ask(interruption.SAVE)

    def _asked_to_leave(self, signum: int, frame: FrameType | None) -> None:
        self.signalled = True
        if interruption.ask(interruption.LEAVE):
            return  # the training loop saves its state first
        if self._out_of_time():
            reason = f"reached its time limit of {self.work.minutes} min and cannot resume: raise this step's runtime"
            say(reason)
            self._leave_outcome(1, reason=reason)
            _leave(1)
        self._requeue()

    def _saved(self, done: int, seconds: float) -> None:
        """Note a save; if it took longer than any before, be warned earlier than the cluster would do it."""
        known = saves.note(self.folder, done, seconds)
        needed = saves.warning(known.seconds, self.work.minutes)
        if needed <= self.warning:
            return
        if saves.is_too_long(known.seconds, self.work.minutes):
            say(f"a save takes {known.seconds:.0f} s: too long for a limit of {self.work.minutes} min; raise runtime")
        self.warning = needed
        signal.setitimer(signal.ITIMER_REAL, max(self._left() - needed, 0.01))

    def _left(self) -> float:
        """Seconds until the time limit."""
        end = os.environ.get("SLURM_JOB_END_TIME")
        started = time.monotonic() - self.began + STARTUP_SECONDS
        return float(end) - time.time() if end else self.work.minutes * 60 - started

    def _out_of_time(self) -> bool:
        """Whether the warning is that of the time limit; else it is that of a preemption."""
        return self._left() <= self.warning + SLACK_SECONDS

    def _requeue(self) -> None:
        """Ask submitit to requeue this job, and leave; ranks other than the first wait to be ended with it."""
        say(f"job {self.job}, rank {self.rank}: leaving, to be started again")
        if self.rank:
            time.sleep(SLACK_SECONDS)
            _leave(0)
        try:
            self.requeue_by_submitit(signal.SIGUSR2, None)
        except SystemExit as done:  # what is on the stack must not catch it; a local controller wants its code
            _leave(done.code & 255 if isinstance(done.code, int) else 0)
        except Exception as error:
            say(f"job {self.job} could not requeue itself ({error}); its launcher will submit it again")
            _leave(RunAgain.exit_code)

    def _leave_outcome(self, code: int, reason: str = "") -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        seconds = round(time.monotonic() - self.began, 3)
        memory = usage.ru_maxrss // 1024
        outcome = Outcome(
            code, self.rank, self.job, platform.node(), seconds, memory, _restarts(), self.signalled, reason
        )
        io.write_json(outcome_file(self.folder, self.rank), asdict(outcome))


def _restarts() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _leave(code: int) -> None:
    """End this process at once, with its last words written."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
