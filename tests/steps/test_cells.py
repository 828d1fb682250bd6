"""Samples and their features go part by part: the same bytes at any batch size, after kills, and on any processes."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from forked import in_processes, killed

from reedbench import steps
from reedbench.core import archives, faults, io, paths, provenance, shards
from reedbench.core.parts import every
from reedbench.domains import image
from reedbench.schema import suite
from reedbench.steps import sample as sampling
from reedbench.steps import seen as seeing

PART, ROWS = 16, 20  # samples of a part while they are drawn, and while their features are extracted
CELL = "--benchmark tiny --method sit --seed 0 --step 10 --sampler ode"
SAMPLES, METRICS = paths.samples("tiny", "sit", 0, 10, "ode"), paths.metrics("tiny", "sit", 0, 10, "ode")
PREPARATION = [
    "prepare --dataset digits",
    "pretrain --dataset digits --encoder clf",
    *(f"represent --dataset digits --extractor {name}" for name in ("clf", "pixels")),
    "train --benchmark tiny --method sit --seed 0 --segment 0",
]
# By step: what it leaves, and how many parts it has (of 64 samples; under two extractors).
STEPS = {"sample": (SAMPLES, 4), "evaluate": (METRICS, 8)}


def run(verb: str) -> int:
    suite.load.cache_clear()
    return steps.main([verb, *CELL.split()])


def edit(old: str, new: str) -> None:
    file = Path("config/benchmarks/tiny.yaml")
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def left_by(verb: str) -> dict[str, str]:
    """sha256 of what a step left."""
    output = Path(STEPS[verb][0])
    return {str(file): io.sha256(file) for file in ([output] if output.is_file() else output.iterdir())}


@pytest.fixture(scope="module")
def whole(make_workspace: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose cell was sampled and scored by one process that nobody killed."""
    folder = make_workspace(tmp_path_factory.mktemp("cells") / "work")
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        suite.load.cache_clear()
        for command in PREPARATION:
            assert steps.main(command.split()) == 0
        make_parts_small(patch)
        for verb in STEPS:
            assert run(verb) == 0
        assert list(every()) == []
    return folder


@pytest.fixture
def work(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which parts are small."""
    shutil.copytree(whole, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    make_parts_small(monkeypatch)
    return tmp_path / "work"


def make_parts_small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sampling, "PART", PART)
    patch.setattr(shards, "ROWS_PER_SHARD", ROWS)


def remove(verb: str) -> dict[str, str]:
    """Take away what a step left; gives its digests."""
    wanted, output = left_by(verb), Path(STEPS[verb][0])
    shutil.rmtree(output) if output.is_dir() else output.unlink()
    return wanted


@pytest.mark.parametrize("batch", [1, 7, 16, 64])
def test_sample_i_has_the_same_bytes_at_any_batch_size(work, batch):
    wanted = remove("sample")
    edit("count: 64, batch: 64", f"count: 64, batch: {batch}")
    assert run("sample") == 0
    assert left_by("sample") == wanted


@pytest.mark.parametrize("verb", STEPS)
def test_killed_at_three_points_it_goes_on_and_ends_in_the_same_bytes(verb, work, monkeypatch):
    edit("count: 64, batch: 64", "count: 64, batch: 8")
    wanted, last = remove(verb), STEPS[verb][1] - 1
    for fault, there in (("before-part@1", 1), ("after-part@2", 3), (f"after-part@{last}", last + 1)):
        monkeypatch.setenv(faults.VARIABLE, fault)
        killed(lambda: run(verb))
        ((_, folder),) = every()
        assert len(list(folder.glob("part-*.safetensors"))) == there
    monkeypatch.delenv(faults.VARIABLE)
    assert run(verb) == 0
    assert left_by(verb) == wanted
    assert list(every()) == []


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("verb", STEPS)
def test_several_processes_leave_the_same_bytes(verb, world, work):
    edit("count: 64, batch: 64", "count: 64, batch: 8")
    wanted = remove(verb)
    assert in_processes(world, lambda: run(verb)) == [0] * world
    assert left_by(verb) == wanted
    assert provenance.read(STEPS[verb][0])["device_seconds"] > 0
    assert list(every()) == []


def test_parts_of_other_weights_are_not_taken(work, monkeypatch):
    edit("count: 64, batch: 64", "count: 64, batch: 8")
    monkeypatch.setenv(faults.VARIABLE, "after-part@2")
    killed(lambda: run("sample"))
    monkeypatch.delenv(faults.VARIABLE)
    wanted = remove("sample")
    receipt, weights = (
        paths.receipt("tiny", "sit", 0, 0),
        f"{paths.segment('tiny', 'sit', 0, 0)}/step-0000010.safetensors",
    )
    io.write_tensors(weights, {name: 2 * array for name, array in io.read_tensors(weights).items()})
    said = io.read_json(receipt)
    io.write_json(receipt, {**said, "weights": {**said["weights"], Path(weights).name: io.sha256(weights)}})
    assert run("sample") == 0
    assert not set(left_by("sample").values()) & set(wanted.values())


def test_features_that_are_too_large_for_memory_score_the_same(work, monkeypatch):
    wanted = remove("evaluate")
    monkeypatch.setattr(seeing, "LARGE", 1)
    monkeypatch.setattr(archives, "LARGE", 1)
    assert run("evaluate") == 0
    assert left_by("evaluate") == wanted
    assert list(every()) == []


def test_samples_in_half_precision_are_others_and_say_so(work):
    whole, _ = image.read_samples(f"{SAMPLES}/samples.npz")
    edit("count: 64, batch: 64", "precision: bf16, count: 64, batch: 64")
    assert run("evaluate") == 3  # these samples are not drawn like this
    assert run("sample") == 0
    assert run("evaluate") == 0
    half, _ = image.read_samples(f"{SAMPLES}/samples.npz")
    far = np.abs(half.astype(int) - whole.astype(int))
    assert far.any()
    assert far.max() < 16
    assert provenance.read(SAMPLES)["notes"]["precision"] == "bf16"
    assert io.read_json(METRICS)["precision"] == "bf16"
