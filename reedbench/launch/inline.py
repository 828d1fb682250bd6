"""Mode `inline`: the step runs in the launcher's own process; also what runs inside other executors' jobs."""

import os
from collections.abc import Sequence
from pathlib import Path

from reedbench.core.console import say
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.launch import gpus
from reedbench.launch.resources import Request


def run(request: Request, step: Sequence[str], on_interrupt: str = "cancel") -> int:
    """Run `step <verb> ...` here; returns the step's exit code, or 3 if it left an output unmade.

    Raises:
        ConfigError: the job asks for what this process has not: GPUs, or other processes.
    """
    _check(request)
    # Read by OpenMP and BLAS when they are loaded, which no module has done yet.
    os.environ["OMP_NUM_THREADS"] = str(request.cpus)
    os.environ[GPUS_VARIABLE] = str(request.gpus)
    from reedbench import steps

    code = steps.main(step[1:])
    if code == 0 and (missing := [path for path in request.outputs if not Path(path).exists()]):
        say(f"reedbench launch {request.key}: the step succeeded without making {', '.join(missing)}")
        return MissingArtefact.exit_code
    return code


def _check(request: Request) -> None:
    if request.ranks > 1:
        raise ConfigError(
            f"{request.key}: asks for {request.nodes} nodes with {request.tasks_per_node} processes each; "
            "the launcher 'inline' runs one process (launcher 'local': several on one node; 'slurm': any number)"
        )
    if request.gpus and not gpus.any_visible():
        raise ConfigError(
            f"{request.key}: asks for {request.gpus} GPU(s), none is visible here, and the launcher is 'inline'. "
            "With --profile slurm: `--config` on the command line replaces the profile's, add launcher=slurm to it. "
            "To compute on the CPU here: --set-resources with gpus=0 for this rule"
        )
