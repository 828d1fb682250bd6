"""Where a step writes its outputs: at their declared place, or under a staging folder from which a launcher moves them.

A job on a cluster may outlive the workflow that started it. It must not put files where the workflow declared them:
Snakemake would take them for the remains of a failed attempt, and delete them. So the job writes under a folder of its
own, and the launcher publishes when it has seen the job succeed.
"""

import os
from pathlib import Path

from reedbench.core import paths

VARIABLE = "REEDBENCH_STAGE"


def staged(path: Path | str) -> Path:
    """Where this process writes the result `path`; everything outside `results/` stays where it is."""
    path, stage = Path(path), os.environ.get(VARIABLE)
    return Path(stage) / path if stage and path.parts[:1] == (paths.RESULTS,) else path
