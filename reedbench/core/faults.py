"""Named points at which a test can kill, stop or fail the process, to prove that nothing is lost there.

REEDBENCH_FAULT is `<point>@<step>` (die by SIGKILL: nothing is flushed or cleaned up), `hold:<point>@<step>` (wait
while the file `hold` exists in the working directory; a file `asked` says that it was asked to save or leave meanwhile)
or `raise:<point>@<step>`.
"""

import os
import signal
import time
from pathlib import Path

from reedbench.core import interruption

VARIABLE = "REEDBENCH_FAULT"
HOLD, ASKED = Path("hold"), Path("asked")


def reach(point: str, step: int) -> None:
    """Say that the process is at `point`; nothing happens unless the environment asks for it."""
    wanted, here = os.environ.get(VARIABLE), f"{point}@{step}"
    if wanted == here:
        os.kill(os.getpid(), signal.SIGKILL)
    elif wanted == f"raise:{here}":
        raise RuntimeError(f"fault asked for at {here}")
    elif wanted == f"hold:{here}":
        while HOLD.exists():
            if interruption.wanted():
                ASKED.touch()
            time.sleep(0.02)
