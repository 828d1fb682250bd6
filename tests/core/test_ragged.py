"""Rows of different lengths: indexing, padding, and a round trip through shards."""

import numpy as np
import pytest

from reedbench.core import shards
from reedbench.core.ragged import Ragged, Texts, joined

ROWS = [np.arange(n * 2, dtype=np.float32).reshape(n, 2) + 10 * n for n in (3, 0, 1, 5)]


@pytest.fixture
def ragged() -> Ragged:
    return Ragged.of(ROWS)


def test_rows_come_back_one_by_one_and_several_at_a_time(ragged):
    assert (len(ragged), ragged.shape, ragged.dtype) == (4, (4, -1, 2), np.float32)
    for row, expected in zip(ragged, ROWS, strict=True):
        np.testing.assert_array_equal(row, expected)
    np.testing.assert_array_equal(ragged[-1], ROWS[3])
    chosen = ragged[np.array([3, 0])]
    assert chosen.lengths.tolist() == [5, 3]
    np.testing.assert_array_equal(chosen[1], ROWS[0])
    assert [len(row) for row in ragged[1:3]] == [0, 1]
    assert len(ragged[np.array([], np.int64)]) == 0


def test_padding_fills_up_to_a_length(ragged):
    padded = ragged.padded(6, -1)
    assert padded.shape == (4, 6, 2)
    np.testing.assert_array_equal(padded[0, :3], ROWS[0])
    assert (padded[0, 3:] == -1).all()
    with pytest.raises(ValueError, match="5 entries does not fit into 4"):
        ragged.padded(4)


def test_an_index_beyond_the_rows_is_an_error(ragged):
    with pytest.raises(IndexError):
        ragged[4]


def test_lengths_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="3 entries in all, and 4 values"):
        Ragged(np.zeros(4), np.array([1, 2]))
    with pytest.raises(ValueError, match="a row of -1 entries"):
        Ragged(np.zeros(4), np.array([-1, 5]))


@pytest.mark.parametrize("rows_per_shard", [2, 100])
def test_ragged_rows_survive_shards_in_any_order(ragged, tmp_path, rows_per_shard):
    shards.write(tmp_path / "s", {"x": ragged, "y": np.arange(4)}, rows_per_shard)
    store = shards.Shards(tmp_path / "s")
    assert (len(store), store.names, store.shape("x")) == (4, ["x", "y"], (-1, 2))
    assert store.lengths("x").tolist() == [3, 0, 1, 5]
    order = np.array([3, 0, 2, 1, 3])
    read = store.read("x", order)
    assert read.lengths.tolist() == [5, 3, 1, 0, 5]
    for row, i in zip(read, order, strict=True):
        np.testing.assert_array_equal(row, ROWS[i])
    assert len(store.read("x", np.array([], np.int64))) == 0
    np.testing.assert_array_equal(store.read("x").values, ragged.values)


def test_texts_stay_texts_when_rows_are_chosen_or_joined(tmp_path):
    texts = Texts.of([np.frombuffer(text.encode(), np.uint8) for text in ("CCO", "", "é")])
    assert texts.strings() == ["CCO", "", "é"]
    assert texts[np.array([2, 0])].strings() == ["é", "CCO"]
    assert joined([texts, texts[1:]]).strings() == ["CCO", "", "é", "", "é"]
    shards.write(tmp_path / "s", {"x": texts})
    read = shards.Shards(tmp_path / "s").read("x")
    assert not isinstance(read, Texts)  # bytes like others
    np.testing.assert_array_equal(read.values, texts.values)
