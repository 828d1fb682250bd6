"""Makes tiny_plugins, tiny runs and reference vectors importable, and holds small data."""

import sys
from pathlib import Path

import numpy as np
import pytest

from reedbench.core import plugins
from reedbench.domains.rows import Rows

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("parity", "training", "encoders", "codecs"))]


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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--plugins` only what is asked of each plugin, and there is one."""
    if config.getoption("outside"):
        here = [item for item in items if HERE in item.path.parents]
        asked = [
            item
            for item in here
            if isinstance(getattr(item, "callspec", None) and item.callspec.params.get("name"), str)
        ]
        dropped = [item for item in here if item not in asked]
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
