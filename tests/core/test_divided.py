"""Large tensors lie in several files, of which the first vouches for the others."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from reedbench.core import divided, io
from reedbench.core.errors import MissingArtefact

TENSORS = {"b": np.arange(4, dtype=np.float32), "a": np.ones(5, np.float32), "c": np.zeros((2, 3), np.float32)}


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(divided, "LARGE", 20)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def same(found):
    return found.keys() == TENSORS.keys() and all(np.array_equal(found[name], TENSORS[name]) for name in TENSORS)


def test_small_tensors_lie_in_one_plain_file(tmp_path):
    divided.write(tmp_path / "x.safetensors", TENSORS, save_file)
    io.write_tensors(tmp_path / "y.safetensors", TENSORS)
    assert (tmp_path / "x.safetensors").read_bytes() == (tmp_path / "y.safetensors").read_bytes()
    assert same(divided.read(tmp_path / "x.safetensors"))


def test_large_ones_are_divided_and_a_tensor_that_is_too_large_has_a_file_to_itself(large, tmp_path):
    file = tmp_path / "x.safetensors"
    divided.write(file, TENSORS, save_file)
    assert names(tmp_path) == ["x.part-2.safetensors", "x.part-3.safetensors", "x.safetensors"]
    assert divided.files(file) == [divided.part(file, number) for number in (1, 2, 3)]
    assert [list(io.read_tensors(part)) for part in divided.files(file)] == [["a"], ["b"], ["c"]]
    assert same(divided.read(file))
    before = [part.read_bytes() for part in divided.files(file)]
    divided.write(file, dict(reversed(TENSORS.items())), save_file)
    assert [part.read_bytes() for part in divided.files(file)] == before


@pytest.mark.parametrize("harm", [lambda f: f.unlink(), lambda f: f.write_bytes(b"other")], ids=["absent", "other"])
def test_the_first_file_knows_the_others(large, tmp_path, harm):
    file = tmp_path / "x.safetensors"
    divided.write(file, TENSORS, save_file)
    harm(divided.part(file, 2))
    with pytest.raises(MissingArtefact, match=r"x\.part-2\.safetensors: (no such|not the) file"):
        divided.read(file)


def test_the_first_file_is_written_last_and_what_lacks_it_is_cleared(large, tmp_path):
    file = tmp_path / "x.safetensors"

    def full(tensors, path, header):
        if header:
            raise OSError("no space left")
        save_file(tensors, path, header)

    with pytest.raises(OSError, match="no space"):
        divided.write(file, TENSORS, full)
    assert names(tmp_path) == ["x.part-2.safetensors", "x.part-3.safetensors"]
    divided.write(tmp_path / "y.safetensors", TENSORS, save_file)
    divided.clear(tmp_path)
    assert names(tmp_path) == ["y.part-2.safetensors", "y.part-3.safetensors", "y.safetensors"]


def test_a_damaged_first_file_is_named(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"damaged")
    with pytest.raises(MissingArtefact, match=r"x\.safetensors: not a whole safetensors file"):
        divided.read(tmp_path / "x.safetensors")
