"""Packed batches: everybody comes once per epoch, within the bound, and the same at every resume."""

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.training.order import PackedOrder, RowOrder

LENGTHS = np.array([10, 60, 33, 33, 47, 52, 58, 41, 10, 33, 60, 25, 33])
TOKENS = 130


@pytest.fixture
def order() -> PackedOrder:
    return PackedOrder(LENGTHS, TOKENS, "b", 0)


def epoch(order: PackedOrder, number: int) -> list[np.ndarray]:
    count = len(order.sizes)
    return [order.rows(step) for step in range(number * count, (number + 1) * count)]


def test_every_epoch_has_every_row_once_in_batches_within_the_bound(order):
    for number in range(3):
        batches = epoch(order, number)
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(LENGTHS)))
        assert all(len(rows) * LENGTHS[rows].max() <= TOKENS for rows in batches)


def test_nobody_is_lost_where_the_reference_loses_one():
    order = PackedOrder(np.full(5, 10), 20, "b", 0)
    assert sorted(order.sizes.tolist()) == [1, 2, 2]


def test_epochs_differ_in_order_and_in_company(order):
    one, other = epoch(order, 0), epoch(order, 1)
    assert [rows.tolist() for rows in one] != [rows.tolist() for rows in other]
    assert {frozenset(rows.tolist()) for rows in one} != {frozenset(rows.tolist()) for rows in other}
    assert sorted(map(len, one)) == sorted(map(len, other))


def test_a_step_is_the_same_wherever_one_begins(order):
    straight = [order.rows(step).tolist() for step in range(20)]
    fresh = PackedOrder(LENGTHS, TOKENS, "b", 0)
    assert [fresh.rows(step).tolist() for step in reversed(range(20))][::-1] == straight
    assert [PackedOrder(LENGTHS, TOKENS, "b", 1).rows(step).tolist() for step in range(20)] != straight


def test_what_was_seen_and_what_it_costs_are_counted(order):
    for steps in (0, 1, 4, 17):
        assert order.seen(steps) == sum(len(order.rows(step)) for step in range(steps))
    assert order.entries(3) == len(order.rows(3)) * LENGTHS[order.rows(3)].max()
    assert order.least == min(len(order.rows(step)) for step in range(len(order.sizes)))
    rows = RowOrder(10, 4, "b", 0)
    assert (rows.seen(3), rows.entries(2), rows.least) == (12, 4, 4)


def test_a_row_longer_than_a_batch_is_refused():
    with pytest.raises(ConfigError, match=r"train\.tokens 50 is less than the longest row has \(60 entries\)"):
        PackedOrder(LENGTHS, 50, "b", 0)


def test_the_longest_rows_share_so_that_no_batch_is_a_lonely_rest():
    lengths = np.array([*[10] * 9, 11])
    assert PackedOrder(lengths, 90, "b", 0).sizes.tolist() == [5, 5]  # and not 9, 1
    assert PackedOrder(np.array([10, 10, 10, 30]), 50, "b", 0).sizes.tolist() == [3, 1]  # two of 30 do not fit
    assert PackedOrder(np.array([10, 10]), 50, "b", 0).sizes.tolist() == [2]


@pytest.mark.parametrize("seed", range(20))
def test_sharing_keeps_the_bound_and_everybody(seed):
    lengths = np.random.default_rng(seed).integers(30, 257, 200)
    order = PackedOrder(lengths, 2000, "b", 0)
    batches = epoch(order, 0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(200))
    assert all(len(rows) * lengths[rows].max() <= 2000 for rows in batches)
    assert order.least >= 4  # 7 of the longest fit
