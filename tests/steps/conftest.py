"""Makes what others' tests make importable, and holds a workspace in which every step on the data has run."""

import contextlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("training", "encoders", "codecs", "parity", "nn"))]

ENCODERS = ("patches", "caption")
MADE_FROM_DATA = [
    "prepare --dataset digits",
    "caption --dataset digits --captioner measured",
    *(f"pretrain --dataset digits --encoder {name}" for name in (*ENCODERS, "clf")),
    *(f"represent --dataset digits --encoder {name}" for name in ENCODERS),
    *(f"represent --dataset digits --extractor {name}" for name in ("clf", "pixels")),
]


@pytest.fixture(scope="session")
def two_trained(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after every step on the data, and two methods after their first segment. Do not edit: copy."""
    from tiny_steps import must

    folder = make_workspace(tmp_path_factory.mktemp("steps") / "work")
    with contextlib.chdir(folder):
        for command in MADE_FROM_DATA:
            must(command)
        for m in ("sit", "repa"):
            must(f"train --benchmark tiny --method {m} --seed 0 --segment 0")
    return folder


@pytest.fixture
def work(two_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of it as current directory."""
    folder = tmp_path / "work"
    shutil.copytree(two_trained, folder)
    monkeypatch.chdir(folder)
    return folder
