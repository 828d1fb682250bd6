"""Runs of chains and of molecules that stop and go on end in the same bytes: packed batches, frozen parameters."""

import csv
from pathlib import Path
from typing import Any

import pytest
import tiny_molecules
import tiny_proteins
from forked import LOST, in_processes

from reedbench.core import faults, interruption, io
from reedbench.core.errors import Paused
from reedbench.training.checkpoint import Store
from reedbench.training.curve import Journal
from reedbench.training.segments import Segment, train_segment
from reedbench.training.trainer import Trainer

STEPS, MIDDLE = 14, 7
# What makes the data and the trainer, and the method.
RUNS = {
    "proteins": (tiny_proteins, tiny_proteins.REED),
    "flow": (tiny_molecules, tiny_molecules.REED),
    "diffusion": (tiny_molecules, tiny_molecules.EDM),
}


@pytest.fixture(scope="module", params=RUNS)
def of(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Data and trainers, and a method of theirs."""
    return RUNS[request.param]


@pytest.fixture(scope="module")
def make(of, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer at step 0."""
    (tiny, method), folder = of, tmp_path_factory.mktemp("packed")
    tiny.write_data(folder)
    return lambda: tiny.trainer(folder, method)


def published(one: Trainer) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in one.published().items()}


def test_a_restored_trainer_goes_on_to_the_same_bytes_within_an_epoch_and_at_its_border(make, of, tmp_path):
    straight, store = make(), Store(tmp_path)
    batches = len(straight.order.sizes)
    borders = {step for step in range(1, STEPS) if step % batches == 0}
    assert 0 < len(borders) < STEPS - 1
    frozen = len(dict(straight.network.named_parameters())) - len(straight.parameters)
    assert frozen or of[0] is not tiny_proteins
    stops = (min(borders), max(set(range(1, STEPS)) - borders))
    for step in range(STEPS):
        straight.update(step)
        if step + 1 in stops:
            store.save_state(step + 1, straight.state(), {**Journal().plain(), "numerics": []})
    for stop in stops:
        resumed, (tensors, _) = make(), store.load_state(stop)
        resumed.restore(tensors)
        for step in range(stop, STEPS):
            resumed.update(step)
        assert published(resumed) == published(straight)


class Run:
    """Two segments in a folder of their own."""

    def __init__(self, make: Any, folder: Path) -> None:
        self.make, self.folder = make, folder
        ends = ((0, MIDDLE), (MIDDLE, STEPS))
        receipts = [str(folder / f"segment-{i}.json") for i in range(len(ends))]
        self.segments = [
            Segment("key", *span, MIDDLE, 4, 3, str(folder / f"segment-{i}"), receipts[i], previous, "b/reed/seed0")
            for i, (span, previous) in enumerate(zip(ends, (None, receipts[0]), strict=True))
        ]

    def train(self) -> None:
        """Both, each as a process of its own would: with a trainer at step 0."""
        for segment in self.segments:
            train_segment(self.make(), Store(self.folder / "store" / segment.key), segment)

    def outcome(self) -> tuple[dict[str, str], list[list[str]], list[float]]:
        """sha256 of weights and receipts, the curve but for its costs, and operations at every row."""
        files = [*self.folder.glob("segment-*/*.safetensors"), *self.folder.glob("segment-*.json")]
        curves = [Path(segment.out, "curve.csv").read_text().splitlines() for segment in self.segments]
        rows = [row for curve in curves for row in csv.reader(curve[1:])]
        digests = {str(file.relative_to(self.folder)): io.sha256(file) for file in files}
        return digests, [row[:-5] for row in rows], [float(row[-1]) for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(make, tmp_path_factory) -> tuple[dict[str, str], list[list[str]], list[float]]:
    run = Run(make, tmp_path_factory.mktemp("uninterrupted"))
    run.train()
    return run.outcome()


def same(run: Run, expected: tuple[dict[str, str], list[list[str]], list[float]]) -> bool:
    digests, rows, flops = run.outcome()
    return len(digests) == 4 and (digests, rows) == expected[:2] and flops == pytest.approx(expected[2], rel=1e-12)


@pytest.mark.parametrize("fault", ["before-step@5", "before-state@7", "after-state@7", "after-state@9"])
def test_killed_and_started_again_it_ends_in_the_same_bytes(make, tmp_path, uninterrupted, monkeypatch, fault):
    run = Run(make, tmp_path)
    monkeypatch.setenv(faults.VARIABLE, fault)
    assert in_processes(1, run.train) == [LOST]
    monkeypatch.delenv(faults.VARIABLE)
    run.train()
    assert same(run, uninterrupted)


def test_paused_and_started_again_it_ends_in_the_same_bytes(make, tmp_path, uninterrupted, monkeypatch):
    run, update = Run(make, tmp_path), Trainer.update

    def asked(self, step):
        if step == 3:
            interruption.ask(interruption.LEAVE)
        return update(self, step)

    monkeypatch.setattr(Trainer, "update", asked)
    with pytest.raises(Paused, match="paused at step 5"):
        run.train()
    interruption.answered()
    monkeypatch.setattr(Trainer, "update", update)
    run.train()
    assert same(run, uninterrupted)
