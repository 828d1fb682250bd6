"""The comparison of molecule metrics with loops over pairs runs, counts the same, and knows when it is too slow."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("REEDBENCH_DATA", REPOSITORY / "../shared/data")) / "qm9_test.npz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there (REEDBENCH_DATA)")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "REEDBENCH_DATA": str(DATA.parent.resolve())}
    command = [sys.executable, str(REPOSITORY / "speed/molecule_scores.py"), "--every", "100", "--repeats", "1", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_the_loops_count_the_same_and_take_longer():
    pytest.importorskip("rdkit")
    done = run("--goal", "5")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^131 molecules: \d+ stable atoms, \d+ stable molecules, \d+ valid\nCPU .* ratio", done.stdout)


def test_a_ratio_below_the_goal_fails():
    pytest.importorskip("rdkit")
    done = run("--goal", "1e6")
    assert done.returncode == 1
    assert re.search(r"ratio [\d.]+ is below 1e\+06", done.stderr)
