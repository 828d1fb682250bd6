"""Steps on molecules, whose rows differ in length: killed anywhere, and on several processes, the same bytes."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import in_processes, killed
from tiny_steps import change, must, run

from reedbench.core import faults, io, paths, provenance, shards
from reedbench.core.parts import every
from reedbench.steps import sample as sampling

ROWS, PART = 8, 4  # rows of a part of data and of features; samples of a part
CELL = "--benchmark tiny --method reed --seed 0 --step 10 --sampler euler"
UNIMOL = "unimol.seed0"
# By step: its command, what it leaves, and how many parts it has: of 33 molecules, 20 for training, and 16 samples.
STEPS = {
    "prepare": ("prepare --dataset smallmol", paths.data("smallmol"), 5),
    "represent": (f"represent --dataset smallmol --encoder {UNIMOL}", paths.representation("smallmol", UNIMOL), 3),
    "statistics": ("represent --dataset smallmol --extractor shape", paths.statistics("smallmol", "shape"), 3),
    "sample": (f"sample {CELL}", paths.samples("tiny", "reed", 0, 10, "euler"), 4),
    "evaluate": (f"evaluate {CELL}", paths.metrics("tiny", "reed", 0, 10, "euler"), 2),
}
LEARNT = [
    f"pretrain --dataset smallmol --encoder {UNIMOL}",
    "train --benchmark tiny --method reed --seed 0 --segment 0",
]
ORDER = [STEPS["prepare"][0], LEARNT[0], STEPS["represent"][0], LEARNT[1],
         *(STEPS[name][0] for name in ("statistics", "sample", "evaluate"))]  # fmt: skip


def make_parts_small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shards, "ROWS_PER_SHARD", ROWS)
    patch.setattr(sampling, "PART", PART)


@pytest.fixture(scope="module")
def whole(make_workspace: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every step was run by one process that nobody killed."""
    folder = make_workspace(tmp_path_factory.mktemp("molecules") / "work", "tiny_molecules")
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        make_parts_small(patch)
        change(sampling={"count": 16, "batch": PART, "streams": 2})
        for command in ORDER:
            must(command)
        assert list(every()) == []
    return folder


@pytest.fixture
def again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Takes away what a step left, in a copy; gives the bytes that it has to leave again."""
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    make_parts_small(monkeypatch)

    def remove(step: str) -> dict[str, str]:
        wanted, output = digests(step), Path(STEPS[step][1])
        shutil.rmtree(output) if output.is_dir() else output.unlink()
        return wanted

    return remove


def digests(step: str) -> dict[str, str]:
    """sha256 of everything that a step left, but for what tells its costs."""
    output = Path(STEPS[step][1])
    found = sorted(output.rglob("*")) if output.is_dir() else [output]
    return {str(file): io.sha256(file) for file in found if file.is_file() and not file.name.endswith(".prov.json")}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_two_points_a_step_goes_on_and_ends_in_the_same_bytes(step, again, monkeypatch):
    (command, _, count), wanted = STEPS[step], again(step)
    for fault, there in (("before-part@1", 1), (f"after-part@{count - 1}", count)):
        monkeypatch.setenv(faults.VARIABLE, fault)
        killed(lambda: run(command))
        ((_, folder),) = every()
        assert len(list(folder.glob("part-*.safetensors"))) == there
    monkeypatch.delenv(faults.VARIABLE)
    must(command)
    assert digests(step) == wanted
    assert list(every()) == []


@pytest.mark.parametrize("step", STEPS)
def test_two_processes_leave_the_same_bytes(step, again):
    (command, output, _), wanted = STEPS[step], again(step)
    assert in_processes(2, lambda: run(command)) == [0, 0]
    assert digests(step) == wanted
    assert provenance.read(paths.index(output) if Path(output, "index.json").exists() else output)["cpu_seconds"] > 0
    assert list(every()) == []
