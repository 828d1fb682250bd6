"""Every step holds little of a large data set at once, however much there is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "speed" / "memory_bound.py"


@pytest.mark.long
@pytest.mark.parametrize(("count", "side"), [(200_000, 8), (20_000, 64)])
def test_every_step_stays_below_its_bound(count, side, tmp_path):
    command = [sys.executable, str(SCRIPT), f"--count={count}", f"--side={side}"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "all below 1536 MiB"
