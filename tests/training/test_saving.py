"""Training goes on while a thread saves, and waits only for the save before."""

import threading

import pytest
import torch

from reedbench.training import saving
from reedbench.training.saving import copied, is_large


def test_a_later_save_leaves_its_caller_free_and_the_next_one_waits_for_it():
    may_end, done = threading.Event(), []

    def slow() -> None:
        may_end.wait(30)
        done.append("slow")

    with saving.saving() as saver:
        saver.save(slow, later=True)
        assert done == []
        threading.Timer(0.05, may_end.set).start()
        saver.save(lambda: done.append("next"), later=False)
        assert done == ["slow", "next"]


def test_all_is_written_when_the_block_ends_even_by_an_error():
    done, may_end = [], threading.Event()

    def slow() -> None:
        may_end.wait(30)
        done.append(1)

    def interrupted() -> None:
        with saving.saving() as saver:
            saver.save(slow, later=True)
            threading.Timer(0.05, may_end.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert done == [1]


def test_a_save_that_failed_is_an_error_at_the_next_one_and_at_the_end():
    def full() -> None:
        raise OSError("no space left")

    with saving.saving() as saver:
        saver.save(full, later=True)
        with pytest.raises(OSError, match="no space"):
            saver.save(lambda: None, later=False)
    with pytest.raises(OSError, match="no space"), saving.saving() as saver:
        saver.save(full, later=True)


def test_a_copy_is_not_touched_by_training(monkeypatch):
    state = {"a": torch.zeros(3)}
    kept = copied(state)
    state["a"] += 1
    assert kept["a"].tolist() == [0, 0, 0]
    assert not is_large(state)
    monkeypatch.setattr(saving, "LARGE", 11)
    assert is_large(state)
