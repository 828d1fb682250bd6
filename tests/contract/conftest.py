"""Makes tiny_plugins and the reference vectors of tests/parity importable, and holds small data."""

import sys
from pathlib import Path

import numpy as np
import pytest

from reedbench.core import plugins
from reedbench.domains.rows import Rows

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "parity")]


@pytest.fixture(scope="session")
def digits() -> Rows:
    """All rows of the digits dataset."""
    return plugins.discover("datasets")["digits"]().rows()


@pytest.fixture(scope="session")
def train(digits: Rows) -> Rows:
    """64 training rows."""
    return digits.where("train").take(np.arange(64))


@pytest.fixture(scope="session")
def test(digits: Rows) -> Rows:
    """40 test rows."""
    return digits.where("test").take(np.arange(40))
