"""Makes tiny_runs importable, and holds what is slow to make: data in memory's size, and a prepared workspace."""

import contextlib
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tiny_runs

from reedbench import steps
from reedbench.core import io
from reedbench.schema import suite


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random images with representations."""
    folder = tmp_path_factory.mktemp("data")
    tiny_runs.write_data(folder)
    return folder


@pytest.fixture
def make(folder: Path) -> tiny_runs.Make:
    """A trainer of a method on these images, see `tiny_runs.trainer`."""
    return lambda method, **settings: tiny_runs.trainer(folder, method, **settings)


@pytest.fixture(scope="session")
def prepared(make_workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with representations, and the outcome of an uninterrupted run beside it."""
    folder = make_workspace(tmp_path_factory.mktemp("resume") / "work")
    with contextlib.chdir(folder):
        suite.load.cache_clear()
        for argv in tiny_runs.PREPARATION:
            assert steps.main(argv) == 0
        tiny_runs.train_both()
        io.write_json(folder.parent / "uninterrupted.json", tiny_runs.outcome())
        shutil.rmtree("work")
        shutil.rmtree("results/runs")
    return folder


@pytest.fixture
def run(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A fresh copy of the prepared workspace as current directory; gives what an uninterrupted run ends in."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    expected: dict[str, str] = io.read_json(prepared.parent / "uninterrupted.json")
    return expected
