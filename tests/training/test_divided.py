"""Weights and states that lie in several files are those of one, and what kills a run loses none of them."""

import shutil
from pathlib import Path

import pytest
from forked import killed
from safetensors.numpy import save_file
from tiny_runs import CELL, outcome, train, train_both

from reedbench import steps
from reedbench.core import divided, faults, io, paths

LARGE = 1 << 14  # bytes: the weights need a few files, a state four times as many


@pytest.fixture
def parted(run, monkeypatch):
    monkeypatch.setattr(divided, "LARGE", LARGE)
    return run


def published():
    return Path(paths.segment("tiny", "reed", 0, 0)) / "step-0000005.safetensors"


def undivided(outcome_of_one):
    """sha256 of the weights as one file would hold them."""
    for name in outcome_of_one:
        if name.endswith(".safetensors") and ".part-" not in name:
            save_file(divided.read(Path(paths.run("tiny", "reed", 0)) / name), "one.safetensors")
            yield name, io.sha256("one.safetensors")


def test_several_files_hold_what_one_would(parted):
    train_both()
    assert len(divided.files(published())) > 2
    assert dict(undivided(outcome())) == {n: d for n, d in parted.items() if n.endswith(".safetensors")}
    (state,) = Path("work").rglob("state/step-0000020.safetensors")
    assert len(divided.files(state)) > len(divided.files(published()))
    assert {file.name.split(".")[0] for file in state.parent.iterdir()} == {"step-0000020"}  # older ones are gone whole


@pytest.mark.parametrize(
    "fault", ["after-file@2", "after-file@8", "after-state@9", "before-publish@10", "after-weights@15"]
)
def test_killed_between_them_it_ends_in_the_same_bytes(parted, fault, monkeypatch):
    monkeypatch.setenv(faults.VARIABLE, fault)
    killed(lambda: train(0) or train(1))
    monkeypatch.delenv(faults.VARIABLE)
    train_both()
    resumed = outcome()
    shutil.rmtree("work")
    shutil.rmtree(paths.run("tiny", "reed", 0))
    train_both()
    assert outcome() == resumed


def test_a_part_that_was_lost_is_trained_again_and_samples_are_drawn_of_all(parted, capfd):
    train_both()
    whole = outcome()
    sample = ["sample", *CELL, "--step", "10", "--sampler", "ode"]
    (kept,) = Path("work").rglob("weights/step-0000010.part-2.safetensors")
    lost = Path(paths.segment("tiny", "reed", 0, 0)) / kept.name
    assert lost.samefile(kept)
    assert steps.main(sample) == 0

    lost.unlink()
    assert steps.main(sample) == 3
    assert f"{lost}: no such file" in capfd.readouterr().err
    kept.unlink()
    assert train(0) == 0
    assert "step-0000010.safetensors: is not what training wrote" in capfd.readouterr().err
    assert outcome() == whole
