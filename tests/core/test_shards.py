"""Row-wise arrays in shards come back as they were, in any order."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reedbench.core import io, shards
from reedbench.core.errors import MissingArtefact

ROWS = 23


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "images": rng.integers(0, 256, (ROWS, 1, 4, 4), dtype=np.uint8),
        "features": rng.standard_normal((ROWS, 3)).astype(np.float16),
        "labels": np.arange(ROWS),
        "kept": rng.random(ROWS) < 0.5,
    }


@pytest.mark.parametrize("per_shard", [1, 5, 23, 100])
def test_all_rows_survive_a_round_trip_over_any_number_of_shards(tmp_path, arrays, per_shard):
    shards.write(tmp_path / "s", arrays, per_shard)
    store = shards.Shards(tmp_path / "s")
    assert len(list((tmp_path / "s").iterdir())) == -(-ROWS // per_shard)
    assert len(store) == ROWS
    assert store.names == sorted(arrays)
    for name, array in arrays.items():
        assert store.read(name).dtype == array.dtype
        assert store.shape(name) == array.shape[1:]
        np.testing.assert_array_equal(store.read(name), array)


@pytest.mark.parametrize("per_shard", [5, 100])
@pytest.mark.parametrize("rows", [[22, 0, 7, 7, 4, 5], list(range(ROWS))[::-1], []], ids=["mixed", "reversed", "none"])
def test_rows_come_in_the_order_asked_for(tmp_path, arrays, per_shard, rows):
    shards.write(tmp_path / "s", arrays, per_shard)
    store = shards.Shards(tmp_path / "s")
    rows = np.array(rows, dtype=np.int64)
    for name, array in arrays.items():
        np.testing.assert_array_equal(store.read(name, rows), array[rows])


@pytest.mark.parametrize("large", [1, shards.LARGE_ROW])
def test_few_shards_are_open_at_a_time(tmp_path, arrays, large, monkeypatch):
    monkeypatch.setattr(shards, "MOST", 2)
    monkeypatch.setattr(shards, "LARGE_ROW", large)
    shards.write(tmp_path / "s", arrays, 3)
    store = shards.Shards(tmp_path / "s")
    rows = np.random.default_rng(0).permutation(ROWS)
    first = store.row("images", 0)
    for name, array in arrays.items():
        np.testing.assert_array_equal(store.read(name, rows), array[rows])
        assert len(store._mapped) <= 2
    store.release()
    np.testing.assert_array_equal(first, arrays["images"][0])  # it outlives its place among the open ones


def test_threads_may_read_one_folder_together(tmp_path, arrays, monkeypatch):
    monkeypatch.setattr(shards, "MOST", 1)
    shards.write(tmp_path / "s", arrays, 1)
    store = shards.Shards(tmp_path / "s")

    def read(seed: int) -> bool:
        rows = np.random.default_rng(seed).permutation(ROWS)
        found = store.read("features", rows)
        store.release()
        return bool((found == arrays["features"][rows]).all())

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(read, range(100)))
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("per_shard", [5, 100])
def test_a_row_past_the_end_is_refused(tmp_path, arrays, per_shard):
    shards.write(tmp_path / "s", arrays, per_shard)
    with pytest.raises(IndexError):
        shards.Shards(tmp_path / "s").read("labels", [ROWS])


def test_writing_again_leaves_no_shard_of_before(tmp_path, arrays):
    shards.write(tmp_path / "s", arrays, 1)
    shards.write(tmp_path / "s", arrays, 20)
    assert len(shards.Shards(tmp_path / "s")) == ROWS


def test_arrays_of_different_lengths_are_refused_before_anything_is_written(tmp_path, arrays):
    with pytest.raises(ValueError, match=r"same number of rows.*'labels': 22"):
        shards.write(tmp_path / "s", {**arrays, "labels": np.arange(ROWS - 1)})
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("size", [0, 4, 20, -3])
def test_a_truncated_shard_is_named_in_one_line(tmp_path, arrays, size):
    shards.write(tmp_path / "s", arrays, 10)
    file = tmp_path / "s" / "shard-00001.safetensors"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(MissingArtefact) as caught:
        shards.Shards(tmp_path / "s")
    message = str(caught.value)
    assert message.startswith(f"{file}: not a whole safetensors file")
    assert "\n" not in message


def _with_header(file, header: bytes, length: int | None = None) -> None:
    file.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + bytes(16))


@pytest.mark.parametrize(
    "header",
    [
        b'{"x": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}',
        b'{"x": {"shape": [4], "data_offsets": [0, 8]}}',
        b'{"x": {"dtype": "U8", "shape": [8]}}',
        b'{"x": {"dtype": "U8", "shape": [8], "data_offsets": [0, 1000000000000000000000000]}}',
        b'{"x": {"dtype": "U8", "shape": [7], "data_offsets": [0, 8]}}',
        b'{"x": null}',
    ],
    ids=["type", "no-type", "no-offsets", "huge", "shape", "null"],
)
def test_a_shard_with_a_wrong_header_is_named_in_one_line(tmp_path, header):
    file = tmp_path / "shard-00000.safetensors"
    _with_header(file, header)
    with pytest.raises(MissingArtefact) as caught:
        shards.Shards(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{file}: not a whole safetensors file")
    assert "\n" not in message


@pytest.mark.parametrize("length", [1000, 2**40, 2**63, 2**64 - 1])
def test_a_header_longer_than_its_file_is_not_read(tmp_path, length):
    _with_header(tmp_path / "shard-00000.safetensors", b"{}", length)
    with pytest.raises(MissingArtefact, match="its header is longer than the file"):
        shards.Shards(tmp_path)


def test_a_folder_without_shards_is_an_error(tmp_path):
    with pytest.raises(MissingArtefact, match="holds no shard"):
        shards.Shards(tmp_path)
    with pytest.raises(MissingArtefact, match="no such file or folder"):
        shards.Shards(tmp_path / "absent")


@pytest.mark.parametrize("lengths", [[2, 2], [-1, 6]], ids=["short", "negative"])
def test_lengths_that_do_not_fit_their_rows_are_named_in_one_line(tmp_path, lengths):
    file = tmp_path / "shard-00000.safetensors"
    io.write_tensors(file, {"x": np.zeros((5, 2)), "x#lengths": np.array(lengths)})
    with pytest.raises(MissingArtefact) as caught:
        shards.Shards(tmp_path)
    assert str(caught.value).startswith(f"{file}: not a whole safetensors file")
    assert "\n" not in str(caught.value)
