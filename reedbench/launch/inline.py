"""Mode `inline`: the step runs in the launcher's own process; also what runs inside other executors' jobs."""

import os
from collections.abc import Sequence
from pathlib import Path

from reedbench import steps
from reedbench.core.console import say
from reedbench.core.constants import GPUS_VARIABLE
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.launch.resources import Request


def run(request: Request, argv: Sequence[str]) -> int:
    """Run `argv` (`step <verb> ...`) here; returns the step's exit code, or 3 if it left an output unmade."""
    # Read by OpenMP and BLAS when they are loaded, which no module has done yet.
    os.environ["OMP_NUM_THREADS"] = str(request.cpus)
    os.environ[GPUS_VARIABLE] = str(request.gpus)
    if request.nodes * request.tasks_per_node > 1:
        raise ConfigError(
            f"{request.key}: asks for {request.nodes} nodes with {request.tasks_per_node} processes each; "
            "the launcher 'inline' runs one process"
        )
    code = steps.main(argv[1:])
    if code == 0 and (missing := [path for path in request.outputs if not Path(path).exists()]):
        say(f"reedbench launch {request.key}: the step succeeded without making {', '.join(missing)}")
        return MissingArtefact.exit_code
    return code
