"""Small chains of a given length, in the shape that the chain datasets read."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that `structure_texts` can be imported

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def _backbone(length: int) -> np.ndarray:
    """(length, 4, 3) float32 in Angstrom: a zigzag whose C and next N are 1.3 apart; all numbers have few digits."""
    residue = np.array([[0, 0, 0], [1.25, 0.75, 0], [2.5, 0, 0.25], [2.5, -1.25, 0.25]], np.float32)
    return residue + np.arange(length, dtype=np.float32)[:, None, None] * np.array([3.75, 0, 0.25], np.float32)


@pytest.fixture(scope="session")
def backbone() -> Callable[[int], np.ndarray]:
    """Makes (length, 4, 3) coordinates without a break."""
    return _backbone


@pytest.fixture(scope="session")
def record() -> Callable[..., dict[str, Any]]:
    """Makes one chain as chains-jsonl reads it; further keys replace its own."""

    def make(name: str, sequence: str = LETTERS, **more: Any) -> dict[str, Any]:
        columns = _backbone(len(sequence)).swapaxes(0, 1).tolist()
        coords = dict(zip(("N", "CA", "C", "O"), columns, strict=True))
        return {"name": name, "seq": sequence, "coords": coords, "cluster40": None, **more}

    return make


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., str]:
    """Writes chains (or raw lines) into a file and returns its path."""

    def write(*chains: dict[str, Any] | str) -> str:
        text = "\n".join(chain if isinstance(chain, str) else json.dumps(chain) for chain in chains)
        (tmp_path / "chains.jsonl").write_text(text + "\n")
        return str(tmp_path / "chains.jsonl")

    return write
