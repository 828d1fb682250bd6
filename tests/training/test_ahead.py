"""What a thread makes ahead of time is what would have been made when it is asked for."""

import threading
import time

import pytest
import tiny_runs

from reedbench.training import trainer as trainers
from reedbench.training.ahead import Ahead


def wait_until(true) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_two_steps_are_made_ahead_and_no_more():
    made = []

    def make(step: int) -> int:
        made.append((step, threading.current_thread() is threading.main_thread()))
        return step * step

    ahead = Ahead(make, 2, lambda step, other: True)
    assert ahead.take(0) == 0
    wait_until(lambda: len(made) == 3)
    assert made == [(0, True), (1, False), (2, False)]
    assert [ahead.take(step) for step in range(1, 6)] == [1, 4, 9, 16, 25]
    assert all(not here for step, here in made if step)


def test_nothing_is_made_ahead_across_a_change_and_nothing_at_depth_0():
    made = []
    ahead = Ahead(lambda step: made.append(step) or step, 2, lambda step, other: step // 3 == other // 3)
    for step in range(6):
        assert ahead.take(step) == step
        assert set(ahead._made) <= ({0, 1, 2} if step < 3 else {3, 4, 5})
    assert made == list(range(6))
    straight = Ahead(lambda step: made.append(step) or step, 0, lambda step, other: True)
    made.clear()
    assert straight.take(7) == 7
    assert made == [7]


def test_a_step_out_of_order_is_made_and_what_is_passed_over_is_forgotten():
    ahead = Ahead(lambda step: step, 2, lambda step, other: True)
    assert [ahead.take(step) for step in (0, 5, 1, 0, 1, 2, 3)] == [0, 5, 1, 0, 1, 2, 3]
    assert len(ahead._made) <= 2


def test_an_error_in_the_thread_is_raised_where_its_step_is_taken():
    def make(step: int) -> int:
        if step == 1:
            raise ValueError("row 7 is damaged")
        return step

    ahead = Ahead(make, 2, lambda step, other: True)
    ahead.take(0)
    with pytest.raises(ValueError, match="row 7"):
        ahead.take(1)


def test_a_run_whose_batches_are_drawn_ahead_ends_in_the_same_bytes(run, monkeypatch):
    class Always(Ahead):
        def __init__(self, make, depth, together) -> None:
            super().__init__(make, trainers.AHEAD, together)

    monkeypatch.setattr(trainers, "Ahead", Always)
    tiny_runs.train_both()
    assert tiny_runs.outcome() == run
