"""The simulated cluster of speed/ runs one seed of the tiny benchmark to its end; it needs no Slurm."""

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_simulation_runs_and_finds_every_output_right(tmp_path):
    words = "--jobs 39 --in-flight 10 --losses 0 --seconds 0.1 0.3 --every 1".split()
    command = [
        sys.executable,
        str(REPOSITORY / "speed/simulate_cluster.py"),
        *words,
        "--folder",
        str(tmp_path / "here"),
    ]
    soon = {"REEDBENCH_SQUEUE_SECONDS": "1", "REEDBENCH_GRACE_SECONDS": "1"}  # launchers look often
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **soon}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "every output right" in done.stdout
