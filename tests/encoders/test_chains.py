"""What encoders of chains and molecules share: passes and batches of like length, results in row order."""

import numpy as np
import pytest

from reedbench.encoders._chains import batches, collected, passes

LENGTHS = np.array([5, 3, 9, 3, 4])


def listed(found: list[np.ndarray]) -> list[list[int]]:
    return [rows.tolist() for rows in found]


def test_passes_go_from_short_to_long_within_the_limit():
    assert listed(passes(LENGTHS, 10)) == [[1, 3], [4, 0], [2]]
    assert listed(passes(LENGTHS, 12)) == [[1, 3, 4], [0], [2]]


def test_a_chain_beyond_the_limit_is_a_pass_of_its_own():
    assert listed(passes(LENGTHS, 1)) == [[1], [3], [4], [0], [2]]


def test_pairs_count_squares_and_chains_are_limited():
    assert listed(passes(LENGTHS, 27, pairs=True)) == [[1, 3], [4], [0], [2]]
    assert listed(passes(LENGTHS, 10**6, chains=2)) == [[1, 3], [4, 0], [2]]


def test_a_given_order_is_kept_and_the_longest_of_a_pass_counts():
    assert listed(passes(LENGTHS, 18, order=np.array([2, 1, 0, 3, 4]))) == [[2, 1], [0, 3, 4]]


@pytest.mark.parametrize("most", [1, 20, 100])
def test_every_chain_is_in_exactly_one_pass(most):
    lengths = np.random.default_rng(0).integers(1, 40, 50)
    found = passes(lengths, most)
    assert sorted(np.concatenate(found).tolist()) == list(range(50))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= most for rows in found)


def test_batches_hold_every_chain_once_per_epoch_and_few_long_ones():
    lengths = np.random.default_rng(0).integers(12, 31, 40)
    given = batches(lengths, 4 * 30**2, 8, "x")
    first, second = ([], [])
    for epoch in (first, second):
        while sum(map(len, epoch)) < 40:
            epoch.append(next(given).tolist())
        assert sorted(row for rows in epoch for row in rows) == list(range(40))
    assert all(len(rows) <= 8 and len(rows) * lengths[rows].max() ** 2 <= 4 * 30**2 for rows in first)
    assert max(map(len, first)) > 4
    # Another epoch is not the same batches in another order.
    assert {frozenset(rows) for rows in first} != {frozenset(rows) for rows in second}


def test_results_are_put_into_row_order():
    found = collected(np.array([2, 1]), iter([(1, np.array([[5.0, 6.0]])), (0, np.array([[1.0, 2.0], [3.0, 4.0]]))]))
    assert found.values.dtype == np.float32
    assert [row.tolist() for row in found] == [[[1, 2], [3, 4]], [[5, 6]]]


def test_pairs_are_flattened_row_by_row():
    pairs = np.arange(8).reshape(2, 2, 2)
    assert collected(np.array([4]), [(0, pairs)])[0].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
