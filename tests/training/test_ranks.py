"""Any number of ranks trains the same run: equal gradients but for rounding, one outcome, one end."""

import csv
import fcntl
import json
import os
import re
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from first_update import gradient
from forked import in_processes, on_ranks
from tiny_runs import NO_CLIP, PATCHES, REED, TEXT, train
from torch import Tensor

from reedbench.core import interruption, io, paths, provenance
from reedbench.core.clock import Stopwatch
from reedbench.core.errors import ConfigError, Diverged, Paused, ReedbenchError, RunAgain
from reedbench.objectives.aligned import Aligned
from reedbench.training.checkpoint import Store
from reedbench.training.curve import Curve, Journal
from reedbench.training.order import RowOrder
from reedbench.training.ranks import Ranks, joined, part
from reedbench.training.segments import Segment, train_segment

RAGGED = 13
WEIGHTED = Aligned(
    label="",
    alignments=(PATCHES.model_copy(update={"time_weight": "linear", "time_weighting": "reference"}), TEXT),
)


# What ranks say to each other


@pytest.mark.parametrize(("count", "parts"), [(13, 4), (12, 4), (4, 4), (3, 4)])
def test_parts_are_nearly_equal_and_leave_no_row_out(count, parts):
    pieces = [range(count)[part(count, i, parts)] for i in range(parts)]
    assert [row for piece in pieces for row in piece] == list(range(count))
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1


def test_words_of_all_ranks():
    def work(ranks: Ranks) -> Any:
        total = ranks.total(torch.tensor([1.0, ranks.rank], dtype=torch.float64))
        agreed, told = ranks.agree(10 - ranks.rank), ranks.tell(ranks.rank + 5)
        ranks.barrier()
        return total.tolist(), agreed(), told, ranks.lead(lambda: 7 + ranks.rank), ranks.mine(RAGGED)

    said = on_ranks(3, work)
    assert [words[:4] for words in said] == [([3.0, 3.0], 10, 5, 7)] * 3
    assert [words[4] for words in said] == [slice(0, 4), slice(4, 8), slice(8, 13)]


def test_ranks_that_come_later_than_others_would_wait_are_waited_for():
    def work() -> Any:
        with joined("cpu", timedelta(seconds=3)) as ranks:
            largest = ranks.patient()
            time.sleep(5 * ranks.rank)
            return largest(ranks.rank + 4)

    assert in_processes(2, work) == [5, 5]


def test_alone_there_is_nobody_to_ask():
    ranks = Ranks.alone("cpu")
    tensor = torch.ones(2)
    assert ranks.total(tensor) is tensor
    assert (ranks.agree(3)(), ranks.tell(4), ranks.lead(lambda: 5), ranks.mine(6)) == (3, 4, 5, slice(0, 6))
    ranks.barrier()
    assert ranks.patient()(6) == 6


def test_an_error_of_the_leader_ends_all_ranks_and_has_words_on_the_first():
    def work(ranks: Ranks) -> Any:
        def refuse() -> int:
            raise RunAgain("busy")

        return ranks.lead(refuse)

    errors = on_ranks(2, work)
    assert [str(error) for error in errors] == ["busy", ""]
    assert [error.exit_code for error in errors] == [75, 75]
    assert all(isinstance(error, ReedbenchError) for error in errors)


@pytest.mark.parametrize("world", ["1", None])
def test_without_company_in_the_environment_a_process_is_alone(monkeypatch, world):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    with joined("cpu") as ranks:
        assert ranks == Ranks.alone("cpu")


def test_an_incomplete_environment_is_one_line(monkeypatch):
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("LOCAL_RANK", "1"), ("MASTER_ADDR", "here")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(ConfigError, match=r"^WORLD_SIZE is 2, and MASTER_PORT not set.*$"), joined("cpu"):
        pass


def test_a_rank_without_a_gpu_is_one_line(monkeypatch):
    for name, value in (("WORLD_SIZE", "4"), ("RANK", "3"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "here")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(ConfigError, match=r"^rank 3 is number 2 on its node, and 1 GPU\(s\) are visible"),
        joined("cuda"),
    ):
        pass


def test_a_rank_that_never_comes_is_a_reason_to_run_again():
    def work() -> None:
        os.environ["WORLD_SIZE"] = "2"
        with joined("cpu", timedelta(seconds=1)):
            pass

    (error,) = in_processes(1, work)
    assert isinstance(error, RunAgain), error
    assert re.search(r"rank 0 has not met the other 1 at 127\.0\.0\.1:\d+ \(.*\): run again", str(error))


def test_no_rank_goes_on_before_all_have_met(monkeypatch, tmp_path):
    """Else one that fails at once is gone while others still meet, and they say that they lost it."""
    meet = torch.distributed.init_process_group

    def slowly(*asked: Any, **named: Any) -> None:
        meet(*asked, **named)
        if os.environ["RANK"] == "1":
            time.sleep(1)
            (tmp_path / "here").touch()

    monkeypatch.setattr(torch.distributed, "init_process_group", slowly)
    assert on_ranks(2, lambda ranks: (tmp_path / "here").exists()) == [True, True]


# Gradients


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("world", [2, 4])
def test_the_gradient_is_that_of_one_process_but_for_rounding(make, world, accumulation):
    def of(ranks: Ranks | None) -> tuple[Tensor, Tensor]:
        settings = {"shaken": True, "clip": NO_CLIP, "batch": RAGGED, "accumulation": accumulation, "ranks": ranks}
        single, double = (gradient(make(WEIGHTED, double=wide, **settings)) for wide in (False, True))
        return single, double

    alone = of(None)
    for rank in on_ranks(world, of):
        for together, expected, bound in zip(rank, alone, (1e-5, 1e-12), strict=True):
            error = float((together - expected).norm() / expected.norm())
            assert together.dtype == expected.dtype
            assert error <= bound


def test_terms_that_go_around_the_given_network_are_refused(make):
    def work(ranks: Ranks) -> None:
        trainer = make(REED, ranks=ranks)
        terms = trainer.learner.terms
        trainer.learner.terms = lambda batch, network: terms(batch, trainer.learner.network)
        trainer.update(0)

    for error in on_ranks(2, work):
        assert isinstance(error, ValueError)
        assert "go around the network" in str(error)


@pytest.mark.parametrize(("world", "accumulation"), [(2, 7), (4, 4)])
def test_a_batch_that_is_too_small_is_one_line_said_once(make, world, accumulation):
    errors = on_ranks(world, lambda ranks: make(REED, ranks=ranks, batch=RAGGED, accumulation=accumulation))
    assert all(type(error) is ConfigError for error in errors)
    first, *others = map(str, errors)
    assert first.startswith(f"b: a batch of {RAGGED} rows is too small for {world} rank(s) with {accumulation} micro-")
    assert "\n" not in first
    assert set(others) == {""}


# Segments

SEGMENT = Segment("key", 0, 10, 5, 3, 100, "segment-0", "segment-0.json", None, "b/reed/seed0")


class Run:
    """A segment of REED in a folder of its own, on as many ranks as ask for it."""

    def __init__(self, make, folder: Path) -> None:
        self.make, self.folder, self.store = make, folder, folder / "store" / SEGMENT.key

    def train(self, ranks: Ranks, disturb=None, **settings: Any) -> dict[str, float]:
        """Train it; `disturb` is called with rank and step before every update."""
        trainer = self.make(REED, shaken=True, batch=RAGGED, ranks=ranks, **settings)
        update = trainer.update
        if disturb:
            trainer.update = lambda step: disturb(ranks.rank, step) or update(step)
        places = {"out": str(self.folder / SEGMENT.out), "receipt": str(self.folder / SEGMENT.receipt)}
        costs = train_segment(trainer, Store(self.store), replace(SEGMENT, **places)).costs
        self.weights = {name: tensor.detach().clone() for name, tensor in trainer.parameters.items()}
        return costs

    def outcome(self) -> tuple[dict[str, str], list[list[str]]]:
        """sha256 of weights and receipt, and the curve but for its costs."""
        out = self.folder / SEGMENT.out
        files = [*out.glob("*.safetensors"), self.folder / SEGMENT.receipt]
        losses = [row[:-5] for row in csv.reader((out / "curve.csv").read_text().splitlines())]
        return {file.name: io.sha256(file) for file in files}, losses

    def states(self) -> list[int]:
        """Steps of the states in the store."""
        return Store(self.store).state_steps()


@pytest.fixture
def segment(make, tmp_path):
    """Makes a run under a name."""
    return lambda name: Run(make, tmp_path / name)


def asking(request: int, rank: int, step: int):
    """A disturbance: one rank is asked once."""
    return lambda me, now: interruption.ask(request) and None if (me, now) == (rank, step) else None


def test_two_ranks_end_in_equal_weights_near_those_of_one_with_its_curve_and_its_operations(segment):
    # In float64: AdamW makes steps of full length out of the rounding errors of gradients that should be zero.
    def work(run: Run):
        return lambda ranks: (run.train(ranks, double=True), run.weights)

    together, alone = segment("together"), segment("alone")
    (costs, one), (same_costs, other) = on_ranks(2, work(together))
    ((single_costs, expected),) = on_ranks(1, work(alone))
    assert costs == same_costs
    assert costs["flops"] == single_costs["flops"]
    for name, weight in expected.items():
        assert torch.equal(one[name], other[name]), name
        torch.testing.assert_close(one[name], weight, rtol=1e-9, atol=1e-9)
    names, *rows = together.outcome()[1]
    single_names, *single_rows = alone.outcome()[1]
    assert names == single_names == ["step", "samples_seen", "denoise", "gradient_norm", "patches@1", "text@2"]
    for row, expected_row in zip(rows, single_rows, strict=True):
        assert [float(x) for x in row] == pytest.approx([float(x) for x in expected_row], rel=1e-9)


def test_costs_are_those_of_all_ranks_and_the_rate_is_that_of_one():
    def work(ranks: Ranks) -> dict[str, float]:
        counted = Curve(Journal(), RowOrder(6, 6, "b", 0), ranks)
        counted.enter(0, lambda step: 5.0)
        counted.add(1, {"loss": torch.tensor(1.0 + ranks.rank)})
        # beside which the test itself takes no time
        counted.watch = Stopwatch(0.0, time.process_time() - 1000.0 * (1 + ranks.rank))
        return counted.row(1)

    one, other = on_ranks(2, work)
    assert one == other
    assert (one["loss"], one["flops"]) == (3.0, 5.0)
    assert (one["device_seconds"], one["cpu_seconds"]) == pytest.approx((3000, 3000), rel=0.05)
    assert one["samples_per_second"] == pytest.approx(6 / 1500, rel=0.05)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_one_rank_asked_to_leave_pauses_all_and_the_resumed_run_ends_in_the_same_bytes(segment, world):
    paused, left_alone = segment("paused"), segment("left-alone")
    errors = on_ranks(world, lambda ranks: paused.train(ranks, asking(interruption.LEAVE, world - 1, 6)))
    assert [type(error) for error in errors] == [Paused] * world
    assert [str(error) for error in errors] == [
        "b/reed/seed0: paused at step 8, state saved; run again to go on",
        *[""] * (world - 1),
    ]
    assert paused.states()[0] == 8
    resumed = on_ranks(world, paused.train)
    on_ranks(world, left_alone.train)
    assert paused.outcome() == left_alone.outcome()
    assert [row[0] for row in paused.outcome()[1]] == ["step", "3", "5", "6", "9", "10"]
    assert all(costs == resumed[0] for costs in resumed)


@pytest.mark.parametrize("world", [1, 2])
def test_one_rank_asked_to_save_saves_for_all_and_training_goes_on(segment, world):
    saved, left_alone, seen = segment("saved"), segment("left-alone"), []

    def disturb(rank: int, step: int) -> None:
        asking(interruption.SAVE, world - 1, 6)(rank, step)
        if step == 9:
            seen.append((saved.states(), interruption.wanted()))

    def work(ranks: Ranks) -> Any:
        saved.train(ranks, disturb)
        return seen

    assert on_ranks(world, work) == [[([8, 5], interruption.NOTHING)]] * world
    on_ranks(world, left_alone.train)
    assert saved.outcome() == left_alone.outcome()


@pytest.mark.parametrize("step", [8, 9])
def test_a_segment_that_is_asked_to_leave_in_its_last_steps_is_finished(segment, step):
    run = segment("late")

    def work(ranks: Ranks) -> int:
        run.train(ranks, asking(interruption.LEAVE, 0, step))
        return interruption.wanted()

    assert on_ranks(2, work)[0] == interruption.LEAVE
    assert len(run.outcome()[0]) == 3


def test_whoever_started_a_rank_sees_the_request_that_another_got(segment):
    def work(ranks: Ranks) -> int:
        with pytest.raises(Paused):
            segment("left").train(ranks, asking(interruption.LEAVE, 1, 2))
        return interruption.wanted()

    assert on_ranks(2, work) == [interruption.LEAVE] * 2


def test_a_busy_store_ends_all_ranks(segment):
    run = segment("busy")
    with (Store(run.store).folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        first, other = on_ranks(2, run.train)
    assert "another process trains this run" in str(first)
    assert (first.exit_code, other.exit_code, str(other)) == (75, 75, "")


def test_a_loss_that_is_not_finite_on_one_rank_stops_all_together(segment):
    def work(ranks: Ranks) -> Any:
        run = segment("diverged")
        add = Curve.add

        def poisoned(self, step, values):
            bad = float("nan") if (ranks.rank, step) == (1, 7) else 1.0
            add(self, step, {**values, "denoise": values["denoise"] * bad})

        Curve.add = poisoned
        return run.train(ranks)

    first, other = on_ranks(2, work)
    assert (type(first), type(other), str(other)) == (Diverged, Diverged, "")
    assert "step 7: loss is not finite: denoise nan" in str(first)
    assert "last good state: step 5" in str(first)


def test_a_rank_that_fails_leaves_nobody_waiting(segment):
    def fail(rank: int, step: int) -> None:
        if (rank, step) == (1, 3):
            raise RuntimeError("out of memory")

    first, other = on_ranks(2, lambda ranks: segment("failed").train(ranks, fail))
    assert str(other) == "out of memory"
    assert isinstance(first, RunAgain)  # the other one is gone, and with it the connection


def test_two_ranks_run_the_step_and_the_first_one_speaks_and_records(run, capfd):
    costs = []
    for segment in (0, 0, 1):  # each joined anew, as every job is
        assert in_processes(2, partial(train, segment)) == [0, 0]
        notes = provenance.read(paths.receipt("tiny", "reed", 0, segment))["notes"]
        costs.append(notes["run_costs"]["device_seconds"])
    said = capfd.readouterr().err
    assert said.count("config.json: new recipe") == said.count("already trained, collected from the store") == 1
    assert said.count("tiny/reed/seed0: 10/10 steps") == 1
    record = provenance.read(paths.receipt("tiny", "reed", 0, 1))
    assert (record["device"], record["notes"]["ranks"]) == ("2 x cpu, 1 threads", 2)
    assert record["device_seconds"] >= costs[2] - costs[1]  # of two ranks: one worked less
    events = [json.loads(line)["done"] for line in next(Path("work").rglob("events.jsonl")).read_text().splitlines()]
    assert events == sorted([*range(2, 21, 2), 5, 15])
