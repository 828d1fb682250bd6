"""Files appear whole or not at all, and a damaged file is named in one line."""

import subprocess
import sys
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


def test_two_writers_of_a_shared_file_do_not_meet(tmp_path):
    file = tmp_path / "a.txt"
    with io.atomic(file, shared=True) as part:
        part.write_text("first")
        child = "import sys; from reedbench.core import io; io.write_text(sys.argv[1], 'second', shared=True)"
        subprocess.run([sys.executable, "-c", child, str(file)], check=True)
        assert file.read_text() == "second"
    assert file.read_text() == "first"
    assert names(tmp_path) == ["a.txt"]


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


def _put(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / name).touch()
    return folder


def test_a_directory_is_replaced_after_a_kill_between_the_two_renames(tmp_path):
    _put(tmp_path / ".out.old", "old")
    _put(tmp_path / ".out.part", "new")
    with io.atomic_directory(tmp_path / "out") as part:
        (part / "newer").touch()
    assert names(tmp_path / "out") == ["newer"]
    assert names(tmp_path) == ["out"]


def test_a_directory_is_replaced_after_a_kill_after_the_two_renames(tmp_path):
    _put(tmp_path / "out", "new")
    _put(tmp_path / ".out.old", "old")
    with io.atomic_directory(tmp_path / "out") as part:
        (part / "newer").touch()
    assert names(tmp_path / "out") == ["newer"]
    assert names(tmp_path) == ["out"]


def test_the_old_directory_is_never_half_deleted(tmp_path, monkeypatch):
    out = _put(tmp_path / "out", "old")
    deleted = []
    monkeypatch.setattr(io.shutil, "rmtree", lambda folder, **_: deleted.append(folder))
    with io.atomic_directory(out) as part:
        (part / "new").touch()
    assert out not in deleted
    assert names(out) == ["new"]
    assert names(tmp_path / ".out.old") == ["old"]


def test_the_old_directory_comes_back_when_the_new_one_cannot_be_put_in_place(tmp_path, monkeypatch):
    out = _put(tmp_path / "out", "old")
    rename = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if self.name == ".out.part":
            raise OSError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no"), io.atomic_directory(out) as part:
        (part / "new").touch()
    assert names(out) == ["old"]
    assert names(tmp_path) == ["out"]


def test_the_files_of_a_directory_are_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(io.os, "fsync", lambda _: synced.append((tmp_path / "out").exists()))
    with io.atomic_directory(tmp_path / "out") as part:
        (part / "sub").mkdir()
        (part / "a").write_text("1")
        (part / "sub" / "b").write_text("2")
    assert synced == [False, False]


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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "holds a list, not an object"),
        ('"text"', "holds a text, not an object"),
        ("null", "holds something else, not an object"),
        ('{"key": "a"}', "has no stop, weights"),
        ('{"key": "a", "stop": "10", "weights": {}}', "its stop is not a whole number"),
        ('{"key": "a", "stop": 10, "weights": ["w"]}', "its weights is not an object"),
    ],
)
def test_json_of_another_shape_is_one_line_with_what_is_missing(tmp_path, content, words):
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(MissingArtefact) as caught:
        io.read_object(file, {"key": str, "stop": int, "weights": dict}, cure="make it again")
    assert str(caught.value) == f"{file}: {words}; make it again"


def test_json_of_the_expected_shape_is_read_with_whatever_else_it_says(tmp_path):
    value = {"seconds": 1, "more": None}
    io.write_json(tmp_path / "a.json", value)
    assert io.read_object(tmp_path / "a.json", {"seconds": float}) == value


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


ARRAYS = {"sit/100": np.arange(600).reshape(2, 300), "b": np.array([0.5, np.nan])}


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_survive_a_round_trip_through_npz(tmp_path, compressed):
    io.write_npz(tmp_path / "deep" / "a.npz", ARRAYS, compressed=compressed)
    read = io.read_npz(tmp_path / "deep" / "a.npz")
    assert list(read) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
    assert list(io.read_npz(tmp_path / "deep" / "a.npz", ["b"])) == ["b"]
    assert names(tmp_path / "deep") == ["a.npz"]


def test_an_npz_file_is_the_same_bytes_every_time(tmp_path):
    for name in "ab":
        io.write_npz(tmp_path / name, ARRAYS, compressed=True)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _damage(content: bytes, how: int | str) -> bytes:
    if how == "flipped":
        middle = len(content) // 3
        return content[:middle] + bytes(255 - byte for byte in content[middle : middle + 20]) + content[middle + 20 :]
    return b"neither zip nor parquet" if how == "text" else content[:how]


DAMAGES = [0, 4, 100, -3, "text", "flipped"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_npz_file_is_named_in_one_line(tmp_path, how, compressed):
    file = tmp_path / "a.npz"
    io.write_npz(file, ARRAYS, compressed=compressed)
    file.write_bytes(_damage(file.read_bytes(), how))
    with pytest.raises(MissingArtefact) as caught:
        io.read_npz(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: not a whole npz file (")
    assert message.endswith("); delete it and rerun")
    assert "\n" not in message


def test_nothing_is_unpickled_from_an_npz_file(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array([{}], dtype=object))
    with pytest.raises(MissingArtefact, match=r"not a whole npz file .*allow_pickle=False"):
        io.read_npz(tmp_path / "a.npz")


def test_a_lone_array_is_no_npz_file(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(MissingArtefact, match="not a whole npz file"):
        io.read_npz(tmp_path / "a.npy")


def test_an_array_that_an_npz_file_lacks_is_named(tmp_path):
    io.write_npz(tmp_path / "a.npz", ARRAYS)
    with pytest.raises(MissingArtefact, match=r"a\.npz: has no array labels; delete it and rerun"):
        io.read_npz(tmp_path / "a.npz", ("b", "labels"))
    with pytest.raises(MissingArtefact, match="has no array labels; fold it again"):
        io.read_npz(tmp_path / "a.npz", ("b", "labels"), cure="fold it again")


@pytest.fixture
def parquet_file(tmp_path: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"id": [f"{i:03d}" for i in range(100)], "x": list(range(100))}), tmp_path / "a")
    return tmp_path / "a"


def test_a_table_comes_back_with_the_columns_asked_for(parquet_file):
    assert io.read_table(parquet_file).column_names == ["id", "x"]
    assert io.read_table(parquet_file, ("x",)).to_pydict() == {"x": list(range(100))}


@pytest.mark.parametrize("how", [0, 4, 100, -3, "text"])
def test_a_damaged_parquet_file_is_named_in_one_line(parquet_file, how):
    parquet_file.write_bytes(_damage(parquet_file.read_bytes(), how))
    with pytest.raises(MissingArtefact) as caught:
        io.read_table(parquet_file)
    message = str(caught.value)
    assert message.startswith(f"{parquet_file}: not a whole parquet file (")
    assert message.endswith("); delete it and rerun")
    assert "\n" not in message


def test_a_column_that_a_table_lacks_is_named(parquet_file):
    with pytest.raises(MissingArtefact, match="text"):
        io.read_table(parquet_file, ["id", "text"])


@pytest.mark.parametrize("read", [io.read_json, io.read_tensors, io.read_npz, io.read_table, io.sha256, io.require])
def test_an_absent_file_is_named(tmp_path, read):
    file = tmp_path / "results" / "x"
    with pytest.raises(MissingArtefact, match=f"{file}: no such file or folder; run the step that makes it"):
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
