"""npz files larger than memory: numpy's own bytes, read where they lie."""

import numpy as np
import pytest

from reedbench.core import archives
from reedbench.core.archives import Stream
from reedbench.core.errors import MissingArtefact

ARRAYS = {
    "features": np.random.default_rng(0).standard_normal((10, 3)),
    "labels": np.arange(10),
    "none": np.zeros((0, 2), np.float32),
}


def streams() -> dict[str, Stream]:
    cut = [slice(0, 4), slice(4, 5), slice(5, 10)]
    return {
        name: Stream(len(array), array.shape[1:], array.dtype, map(array.__getitem__, cut))
        for name, array in ARRAYS.items()
    }


def test_pieces_make_the_file_that_numpy_writes(tmp_path):
    archives.write(tmp_path / "ours.npz", streams())
    with (tmp_path / "numpy.npz").open("wb") as file:
        np.savez(file, **ARRAYS)
    assert (tmp_path / "ours.npz").read_bytes() == (tmp_path / "numpy.npz").read_bytes()


@pytest.mark.parametrize("aligned", [False, True])
def test_a_map_shows_what_numpy_reads(tmp_path, aligned):
    archives.write(tmp_path / "a.npz", streams(), aligned=aligned)
    found = archives.mapped(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as read:
        assert list(found) == read.files == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)
            np.testing.assert_array_equal(read[name], array)
    assert isinstance(found["features"], np.memmap)
    assert (found["features"].ctypes.data % 64 == 0) == aligned
    assert found["features"].flags.aligned == aligned


def test_pieces_that_are_not_what_was_said_leave_no_file(tmp_path):
    for wrong in (np.zeros((10, 3), np.float32), np.zeros((9, 3))):
        with pytest.raises(ValueError, match=r"a piece of float32|9 rows of 10"):
            archives.write(tmp_path / "a.npz", {"x": Stream(10, (3,), np.dtype(np.float64), [wrong])})
    assert list(tmp_path.iterdir()) == []


def test_what_no_map_can_show_is_one_line(tmp_path):
    file = tmp_path / "a.npz"
    with pytest.raises(MissingArtefact, match=r"a\.npz: no such file"):
        archives.mapped(file)
    np.savez_compressed(file, x=np.arange(3))
    with pytest.raises(MissingArtefact, match=r"a\.npz: not a whole npz file \(x\.npy is compressed\); delete it"):
        archives.mapped(file)
    archives.write(file, streams())
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(MissingArtefact, match="not a whole npz file"):
        archives.mapped(file)


def test_rows_chosen_of_a_map_stay_in_the_file_and_are_those_of_the_array(tmp_path):
    array, order = np.arange(60.0).reshape(20, 3), np.random.default_rng(0).permutation(20)[:7]
    np.savez(tmp_path / "x.npz", array=array)
    mapped = archives.mapped(tmp_path / "x.npz")["array"]
    chosen = archives.chosen(mapped, order)
    assert isinstance(chosen, archives.Chosen)
    assert (chosen.shape, chosen.dtype, chosen.nbytes, len(chosen)) == ((7, 3), array.dtype, 7 * 24, 7)
    np.testing.assert_array_equal(np.asarray(chosen), array[order])
    np.testing.assert_array_equal(chosen[np.array([3, 1])], array[order][[3, 1]])
    np.testing.assert_array_equal(np.concatenate(list(archives.blocks(chosen, 2))), array[order])
    assert isinstance(archives.chosen(array, order), np.ndarray)
    assert isinstance(archives.chosen(mapped, slice(2, 5)), np.memmap)
