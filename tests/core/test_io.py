"""Files appear whole or not at all, and a damaged file is named in one line."""

from pathlib import Path

import numpy as np
import pytest

from reedbench.core import io
from reedbench.core.errors import MissingArtefact


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _write_half(file: Path) -> None:
    with io.atomic(file) as part:
        part.write_text("half")
        raise RuntimeError("killed")


def _fill_half(folder: Path) -> None:
    with io.atomic_directory(folder) as part:
        (part / "new").touch()
        raise RuntimeError("killed")


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError, match="killed"):
        _write_half(file)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_write_makes_its_folders_and_leaves_no_part(tmp_path):
    io.write_text(tmp_path / "deep" / "er" / "a.txt", "new")
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "new"
    assert names(tmp_path / "deep" / "er") == ["a.txt"]


def test_a_directory_replaces_the_old_one_with_everything_in_it(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".snakemake_timestamp").touch()
    (out / "old").touch()
    with io.atomic_directory(out) as part:
        (part / "new").touch()
    assert names(out) == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_directory_that_fails_leaves_the_old_one_and_no_part(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").touch()
    with pytest.raises(RuntimeError, match="killed"):
        _fill_half(out)
    assert names(out) == ["old"]
    assert names(tmp_path) == ["out"]


def test_a_directory_starts_empty_after_a_killed_attempt(tmp_path):
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "left").touch()
    with io.atomic_directory(tmp_path / "out") as part:
        assert names(part) == []


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    text = io.canonical_json({"b": 1, "a": [1.5, None]})
    assert text == io.canonical_json({"a": [1.5, None], "b": 1})
    assert text == '{\n "a": [\n  1.5,\n  null\n ],\n "b": 1\n}\n'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_refuses_what_is_not_a_number(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.write_json(tmp_path / "a.json", {"x": value})
    with pytest.raises(ValueError, match="not JSON compliant"):
        io.digest_of({"x": value})
    assert names(tmp_path) == []


def test_the_digest_of_settings_is_pinned():
    assert io.digest_of({"b": [1, 2], "a": "x"}) == io.digest_of({"a": "x", "b": [1, 2]}) == "5125d018f84d"


def test_json_survives_a_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    io.write_json(tmp_path / "a.json", value)
    assert io.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00\x80"], ids=["empty", "brace", "cut", "binary"]
)
def test_a_damaged_json_file_is_named_in_one_line(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(MissingArtefact) as caught:
        io.read_json(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: not a JSON file")
    assert message.endswith("delete it and rerun")
    assert "\n" not in message


@pytest.mark.parametrize("size", [0, 4, 20, -3])
def test_a_damaged_tensor_file_is_named_in_one_line(tmp_path, size):
    file = tmp_path / "a.safetensors"
    io.write_tensors(file, {"x": np.arange(100.0)})
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(MissingArtefact) as caught:
        io.read_tensors(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: not a whole safetensors file")
    assert "\n" not in message


@pytest.mark.parametrize("read", [io.read_json, io.read_tensors, io.sha256, io.require])
def test_an_absent_file_says_how_to_make_it(tmp_path, read):
    file = tmp_path / "results" / "x"
    with pytest.raises(MissingArtefact, match=f"{file}: no such file or folder.*snakemake {file}"):
        read(file)


def test_tensor_bytes_do_not_depend_on_the_order_of_names(tmp_path):
    a, b = np.arange(6.0).reshape(2, 3), np.arange(4, dtype=np.int64)
    io.write_tensors(tmp_path / "1", {"a": a, "b": b})
    io.write_tensors(tmp_path / "2", {"b": b, "a": a})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_tensors_survive_a_round_trip_even_as_strided_views(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    io.write_tensors(tmp_path / "a", {"t": array.T, "every-other": array[:, ::2]})
    read = io.read_tensors(tmp_path / "a")
    np.testing.assert_array_equal(read["t"], array.T)
    np.testing.assert_array_equal(read["every-other"], array[:, ::2])


def test_the_digest_of_a_folder_follows_content_and_names_but_not_snakemakes_marks(tmp_path):
    folder = tmp_path / "d"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    (folder / "sub" / "b").write_text("2")
    first = io.sha256(folder)
    (folder / ".snakemake_timestamp").touch()
    (folder / "sub" / ".snakemake_timestamp").write_text("x")
    assert io.sha256(folder) == first
    (folder / "a").write_text("3")
    assert io.sha256(folder) != first
    (folder / "a").write_text("1")
    assert io.sha256(folder) == first
    (folder / "a").rename(folder / "c")
    assert io.sha256(folder) != first


def test_the_digest_of_a_file_is_its_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert io.sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_csv_leaves_a_missing_value_empty(tmp_path):
    io.write_csv(tmp_path / "a.csv", [{"x": 1, "y": None}, {"y": 0.5}], ["x", "y"])
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,\n,0.5\n"
