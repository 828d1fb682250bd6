"""A run that is killed anywhere and started again ends in the same bytes as one that was left alone."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from forked import killed, started
from tiny_runs import outcome, train, train_both

from reedbench.core import faults, paths
from reedbench.core.errors import Diverged
from reedbench.schema import planning, runs, suite
from reedbench.training import curve, loaders, saving
from reedbench.training.order import RowOrder
from reedbench.training.ranks import Ranks


def in_a_child(segments: tuple[int, ...]) -> int:
    """Train in a forked process, until a segment fails; returns its pid."""
    return started(lambda: next((code for code in map(train, segments) if code), 0))


FAULTS = [
    "before-step@1", "before-step@7", "before-weights@5", "after-weights@5", "before-state@5", "after-state@5",
    "after-record@5", "before-state@9", "after-state@9", "before-weights@10", "after-weights@10", "after-state@10",
    "after-record@10", "before-publish@10",
    "before-receipt@10", "after-receipt@10", "before-step@12", "after-weights@15", "after-state@20",
    "before-receipt@20",
]  # fmt: skip


@pytest.mark.parametrize("large", [saving.LARGE, 0], ids=["training waits", "a thread saves"])
@pytest.mark.parametrize("fault", FAULTS)
def test_killed_at_a_named_point_it_ends_in_the_same_bytes(run, fault, large, monkeypatch):
    monkeypatch.setattr(saving, "LARGE", large)
    monkeypatch.setenv(faults.VARIABLE, fault)
    killed(lambda: train(0) or train(1))
    monkeypatch.delenv(faults.VARIABLE)
    train_both()
    assert outcome() == run


def test_rows_that_stay_on_disk_end_in_the_same_bytes(run, monkeypatch):
    monkeypatch.setattr(loaders, "RESIDENT", 0)
    train_both()
    assert outcome() == run


@pytest.mark.parametrize("moment", range(5))
def test_killed_at_a_seeded_moment_it_ends_in_the_same_bytes(run, moment):
    wait = random.Random(moment).uniform(0.05, 0.6)
    child = in_a_child((0, 1))
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    train_both()
    assert outcome() == run


def test_killed_again_and_again_it_ends_in_the_same_bytes(run, monkeypatch):
    for fault in ("before-step@4", "after-weights@10", "before-step@14", "before-publish@20"):
        monkeypatch.setenv(faults.VARIABLE, fault)
        _, status = os.waitpid(in_a_child((0, 1)), 0)
        assert os.WIFSIGNALED(status)
    monkeypatch.delenv(faults.VARIABLE)
    train_both()
    assert outcome() == run


def test_the_curve_of_a_resumed_run_has_the_same_rows(run, monkeypatch):
    monkeypatch.setenv(faults.VARIABLE, "before-step@8")
    os.waitpid(in_a_child((0,)), 0)
    monkeypatch.delenv(faults.VARIABLE)
    train_both()
    text = Path(paths.segment("tiny", "reed", 0, 0), "curve.csv").read_text()
    rows = [line.split(",")[0] for line in text.splitlines()[1:]]
    assert rows == ["2", "4", "5", "6", "8", "10"]  # none crosses a save point


def test_a_lost_state_is_trained_again_from_the_start_with_the_same_bytes(run, capfd):
    assert train(0) == 0
    shutil.rmtree("work")
    assert train(1) == 0
    assert "walking back to step 0" in capfd.readouterr().err
    assert {name: digest for name, digest in run.items() if "segment-1" in name}.items() <= outcome().items()


def test_the_plan_says_that_a_lost_state_costs_a_walk_back(run):
    assert train(0) == 0
    assert planning.walk_backs(runs.benchmark(suite.load(), "tiny")) == []
    shutil.rmtree("work")
    (line,) = planning.walk_backs(runs.benchmark(suite.load(), "tiny"))
    assert line == "reed, seed 0: the state of step 10 is gone, training walks back to step 0"


def test_a_damaged_state_is_not_used(run, capfd):
    assert train(0) == 0
    (state,) = Path("work").rglob("state/step-0000010.safetensors")
    state.write_bytes(state.read_bytes()[:100])
    assert train(1) == 0
    assert "unusable" in capfd.readouterr().err
    assert outcome() == run


@pytest.mark.parametrize("content", ["[]", '"text"', '{"rows": [], "pending": []}'])
def test_a_state_whose_journal_has_another_shape_is_not_used(run, capfd, content):
    assert train(0) == 0
    (journal,) = Path("work").rglob("state/step-0000010.json")
    journal.write_text(content)
    assert train(1) == 0
    assert "state of step 10 is unusable" in capfd.readouterr().err
    assert outcome() == run


@pytest.mark.parametrize("content", ["[]", '"text"', '{"key": "a"}'])
def test_a_segment_after_a_receipt_of_another_shape_is_refused_in_one_line(run, capfd, content):
    assert train(0) == 0
    receipt = Path(paths.receipt("tiny", "reed", 0, 0))
    receipt.write_text(content)
    capfd.readouterr()
    assert train(1) == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert str(receipt) in line
    assert line.endswith(f"publish its segment again: snakemake -f {receipt}")


def test_a_finished_segment_is_collected_and_not_trained_again(run, capfd):
    train_both()
    shutil.rmtree(paths.segment("tiny", "reed", 0, 1))
    assert train(1) == 0
    assert "collected from the store" in capfd.readouterr().err
    assert outcome() == run


def test_two_processes_cannot_train_one_run(run, capfd):
    import fcntl

    train_both()
    (lock,) = Path("work").rglob("lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert train(1) == 75
    assert "another process trains this run" in capfd.readouterr().err


def test_an_edited_recipe_never_resumes_the_old_state(run):
    assert train(0) == 0
    file = Path("config/benchmarks/tiny.yaml")
    file.write_text(file.read_text().replace("weight: 0.25", "weight: 0.75"))
    suite.load.cache_clear()
    assert train(1) == 2  # the receipt before it belongs to another recipe
    train_both()
    assert outcome().keys() == run.keys()
    assert not outcome().items() & run.items()
    assert len(list(Path("work/tiny/reed/seed0").iterdir())) == 2  # the old store is kept


@pytest.mark.parametrize("large", [saving.LARGE, 0])
def test_a_loss_that_is_not_finite_stops_with_step_terms_and_last_good_state(large, run, capfd, monkeypatch):
    from reedbench.training.trainer import Trainer

    monkeypatch.setattr(saving, "LARGE", large)

    update = Trainer.update

    def poisoned(self, step):
        values = update(self, step)
        return {**values, "denoise": values["denoise"] * float("nan")} if step == 6 else values

    monkeypatch.setattr(Trainer, "update", poisoned)
    assert train(0) == Diverged.exit_code
    message = capfd.readouterr().err
    assert "step 7: loss is not finite: denoise nan" in message
    assert "last good state: step 6" in message
    assert list(Path("work").rglob("state/step-0000006.safetensors"))


def test_a_curve_row_is_the_mean_of_its_steps():
    import torch

    counted = curve.Curve(curve.Journal(), RowOrder(4, 4, "b", 0), Ranks.alone("cpu"))
    counted.enter(0, lambda step: 2.0)
    counted.add(1, {"denoise": torch.tensor(1.0)})
    counted.add(2, {"denoise": torch.tensor(3.0)})
    row = counted.row(2)
    assert (row["denoise"], row["samples_seen"], row["flops"]) == (2.0, 8.0, 4.0)
