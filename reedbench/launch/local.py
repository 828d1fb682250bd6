"""Mode `local`: submitit starts the step as a process of this machine, with GPUs that no other local job has."""

import os
import signal
from collections.abc import Sequence

from reedbench.core.errors import ConfigError
from reedbench.launch import gpus
from reedbench.launch.job import StepJob
from reedbench.launch.launcher import launch
from reedbench.launch.processes import Process
from reedbench.launch.resources import Request
from reedbench.launch.site import Busy
from reedbench.launch.ticket import Ticket


def run(request: Request, step: Sequence[str], on_interrupt: str) -> int:
    """Run a step in a process of its own; returns its exit code."""
    if request.nodes > 1:
        raise ConfigError(f"{request.key}: asks for {request.nodes} nodes; the launcher 'local' has one")
    if request.gpus and request.gpus > (there := len(gpus.visible())):
        raise ConfigError(f"{request.key}: asks for {request.gpus} GPU(s); {there} visible on this machine")
    if on_interrupt == "leave":
        raise ConfigError("--on-interrupt leave: a local job ends with its terminal; this works with slurm only")
    return launch(Local(), request, step, on_interrupt)


class Local:
    """This machine."""

    name, interval = "local", 0.0

    def submit(self, request: Request, job: StepJob, ticket: Ticket) -> None:
        """Start the job's controller, once its GPUs are free."""
        import submitit

        dealt = gpus.lease(request.gpus)
        if dealt is None:
            raise Busy(f"fewer than {request.gpus} GPU(s) are free")
        executor = submitit.LocalExecutor(ticket.folder, max_num_timeout=10**6)
        executor.update_parameters(
            timeout_min=request.runtime, tasks_per_node=request.tasks_per_node, nodes=1,
            gpus_per_node=request.gpus, visible_gpus=tuple(dealt), signal_delay_s=job.warning,
        )  # fmt: skip
        ticket.job = str(executor.submit(job).job_id)
        controller = Process.of(int(ticket.job))
        gpus.hand_over(dealt, controller)
        ticket.process = controller.plain()

    def news(self, since: float) -> bool:
        """Always: processes are looked at when they are asked for."""
        return True

    def find(self, comment: str) -> list[str]:
        """None: a process carries no comment. One that was started without its ticket being completed is not found."""
        return []

    def alive(self, ticket: Ticket, since: float = 0.0) -> bool:
        """Whether the controller runs."""
        _reap()
        return ticket.process is not None and Process(**ticket.process).alive()

    def cancel(self, ticket: Ticket) -> bool:
        """Interrupt the controller, which ends its processes."""
        if ticket.process is not None and self.alive(ticket):
            os.kill(Process(**ticket.process).pid, signal.SIGINT)
        return True


def _reap() -> None:
    """Collect ended children, which would count as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
