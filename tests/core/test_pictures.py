"""Encoded images are arrays of uint8 to all who read them, on disk and in memory."""

import numpy as np
import pytest

from reedbench.core import pictures, shards
from reedbench.core.errors import MissingArtefact
from reedbench.core.pictures import FORMATS, Pictures, encoded

ROWS = 23


def images(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(channels).integers(0, 256, (ROWS, channels, 6, 5), dtype=np.uint8)


def kept(array: np.ndarray, storage: str = "png") -> Pictures:
    return Pictures.of([encoded(image, storage) for image in array], array.shape[1:])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("storage", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_comes_back_whoever_decodes(channels, storage, threads, monkeypatch):
    monkeypatch.setattr(pictures.os, "sched_getaffinity", lambda _: range(threads))
    monkeypatch.setattr(pictures, "FEW", 2)
    array = images(channels)
    stored = kept(array, storage)
    assert (stored.shape, stored.dtype, stored.ndim, len(stored)) == (array.shape, array.dtype, array.ndim, ROWS)
    np.testing.assert_array_equal(np.asarray(stored), array)
    np.testing.assert_array_equal(stored[3], array[3])
    for rows in (slice(4, 9), np.array([7, 0, 7]), [2], []):
        np.testing.assert_array_equal(stored[rows], array[rows])


@pytest.mark.parametrize("shape", [(2, 4, 4), (3, 4), (3, 4, 4, 4)])
def test_images_that_no_file_can_hold_are_refused(shape):
    with pytest.raises(ValueError, match=r"not \(1 or 3, height, width\)"):
        Pictures.of([], shape)


@pytest.mark.parametrize("per_shard", [5, 100])
def test_shards_give_them_as_arrays_and_count_what_they_take_in_memory(tmp_path, per_shard):
    array, labels = images(), np.arange(ROWS)
    parts = [slice(i, i + per_shard) for i in range(0, ROWS, per_shard)]
    shards.write_parts(tmp_path / "s", ({"images": kept(array[part]), "labels": labels[part]} for part in parts))
    store = shards.Shards(tmp_path / "s")
    assert (store.names, store.shape("images"), store.dtype("images")) == (["images", "labels"], (3, 6, 5), np.uint8)
    assert store.sizes().tolist() == [3 * 6 * 5 + 8] * ROWS
    assert shards.row_bytes({"images": kept(array)}).tolist() == [3 * 6 * 5] * ROWS
    assert store.unlike() == ""
    np.testing.assert_array_equal(store.read("images"), array)
    rows = [22, 0, 7, 7, 4]
    np.testing.assert_array_equal(store.read("images", rows), array[rows])
    assert store.read("images", []).shape == (0, 3, 6, 5)
    np.testing.assert_array_equal(store.row("images", 9), array[9])


def test_a_shard_without_an_image_can_be_written_and_read(tmp_path):
    empty, labels = Pictures.of([], (3, 6, 5)), np.arange(0)
    shards.write_parts(tmp_path / "s", [{"images": kept(images())}, {"images": empty}])
    assert len(shards.Shards(tmp_path / "s")) == ROWS
    shards.write_parts(tmp_path / "t", [{"images": empty, "labels": labels}])
    assert shards.Shards(tmp_path / "t").read("images").shape == (0, 3, 6, 5)


@pytest.mark.parametrize("damage", [b"\0" * 40, encoded(images()[0, :, :3], "png")], ids=["bytes", "another size"])
def test_a_damaged_image_names_its_shard(tmp_path, damage):
    files = [encoded(image, "png") for image in images()]
    files[7] = damage
    shards.write_parts(tmp_path / "s", [{"images": Pictures.of(part, (3, 6, 5))} for part in (files[:5], files[5:])])
    store = shards.Shards(tmp_path / "s")
    assert len(store.read("images", [6])) == 1
    with pytest.raises(MissingArtefact, match=r"shard-00001\.safetensors: not a whole .*a stored image ") as error:
        store.read("images", [6, 7])
    assert "\n" not in str(error.value)
