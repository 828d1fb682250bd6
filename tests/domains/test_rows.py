"""Rows of a dataset survive the disk, and what does not fit together is refused."""

import numpy as np
import pytest

from reedbench.core import io, shards
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged, Texts
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN, Rows


@pytest.fixture
def made() -> Rows:
    rng = np.random.default_rng(0)
    split = [TRAIN, TEST, TRAIN, TRAIN, TEST, TRAIN]
    images = rng.integers(0, 256, (6, 1, 4, 4), dtype=np.uint8)
    return Rows([f"{i:02d}" for i in range(6)], split, {"images": images, "labels": np.arange(6)})


@pytest.mark.parametrize(("split", "positions"), [(TRAIN, [0, 2, 3, 5]), (TEST, [1, 4])])
def test_a_split_comes_back_in_manifest_order(tmp_path, made, split, positions):
    rows.write(tmp_path, made, {})
    read = rows.read(tmp_path, split)
    assert list(read.ids) == [made.ids[i] for i in positions]
    assert set(read.split) == {split}
    for name in made.arrays:
        np.testing.assert_array_equal(read.arrays[name], made.arrays[name][positions])


def test_the_index_tells_rows_splits_shapes_and_facts(tmp_path, made):
    outputs = rows.write(tmp_path, made, {"classes": 6})
    index = rows.index(tmp_path)
    assert outputs == [str(tmp_path / name) for name in ("shards", "manifest.parquet", "index.json")]
    assert index["splits"] == {TRAIN: 4, TEST: 2}
    assert index["shapes"] == {"images": [1, 4, 4], "labels": []}
    assert index["classes"] == 6
    assert index["train_ids"] == rows.ids_digest(["00", "02", "03", "05"])
    assert index["shards"] == io.sha256(tmp_path / "shards")


def test_the_manifest_has_a_digest_per_row_that_follows_its_content(tmp_path, made):
    from pyarrow import parquet

    rows.write(tmp_path / "a", made, {})
    made.arrays["images"][3, 0, 0, 0] ^= 1
    rows.write(tmp_path / "b", made, {})
    one, other = (parquet.read_table(tmp_path / d / "manifest.parquet").to_pydict() for d in "ab")
    assert list(one) == ["id", "split", "label", "sha256"]
    assert [i for i in range(6) if one["sha256"][i] != other["sha256"][i]] == [3]


def test_the_manifest_shows_texts_and_no_other_rows_of_bytes(tmp_path, made):
    from pyarrow import parquet

    words = Texts.of([np.frombuffer(f"CC{i}".encode(), np.uint8) for i in range(6)])
    made = Rows(made.ids, made.split, {**made.arrays, "words": words, "numbers": Ragged(words.values, words.lengths)})
    rows.write(tmp_path, made, {})
    table = parquet.read_table(tmp_path / "manifest.parquet").to_pydict()
    assert table["words"] == [f"CC{i}" for i in range(6)]
    assert "numbers" not in table


def test_rows_of_pieces_are_those_that_were_written(tmp_path, made):
    pieces = []
    for number, part in enumerate((range(4), range(4, 6))):
        pieces.append((tmp_path / f"{number}.safetensors", tmp_path / f"{number}.parquet"))
        rows.write_piece(*pieces[-1], made.take(part))
    whole = rows.of_pieces(pieces)
    assert (list(whole.ids), list(whole.split)) == (list(made.ids), list(made.split))
    np.testing.assert_array_equal(whole.take([5, 0]).arrays["images"], made.arrays["images"][[5, 0]])


def test_a_dataset_without_training_rows_is_refused(tmp_path, made):
    with pytest.raises(ConfigError, match=r"no row in split 'train' \(rows by split: \{'test': 2\}\)"):
        rows.write(tmp_path / "d", made.where(TEST), {})
    assert not (tmp_path / "d").exists()


def test_shards_with_other_rows_than_the_manifest_are_refused(tmp_path, made):
    rows.write(tmp_path, made, {})
    shards.write(tmp_path / "shards", {name: array[:5] for name, array in made.arrays.items()})
    with pytest.raises(MissingArtefact, match="5 rows in the shards, 6 in the manifest"):
        rows.read(tmp_path, TRAIN)


def test_a_damaged_manifest_is_named(tmp_path, made):
    rows.write(tmp_path, made, {})
    manifest = tmp_path / "manifest.parquet"
    manifest.write_bytes(manifest.read_bytes()[:-10])
    with pytest.raises(MissingArtefact, match=r"manifest\.parquet: not a whole parquet file"):
        rows.read(tmp_path, TRAIN)


def test_an_absent_dataset_says_how_to_make_it(tmp_path):
    with pytest.raises(MissingArtefact, match=r"manifest\.parquet: no such file"):
        rows.read(tmp_path, TRAIN)
    with pytest.raises(MissingArtefact, match=r"index\.json: no such file"):
        rows.index(tmp_path)


def test_the_digest_of_ids_follows_their_order():
    assert rows.ids_digest(["a", "b"]) != rows.ids_digest(["b", "a"])
    assert rows.ids_digest(["a", "b"]) == rows.ids_digest(("a", "b"))


def test_taken_rows_keep_ids_splits_and_arrays_together(made):
    taken = made.take(np.array([4, 0]))
    assert (taken.ids, taken.split) == (["04", "00"], [TEST, TRAIN])
    assert taken.arrays["labels"].tolist() == [4, 0]
    assert len(taken) == 2


def test_rows_of_labels_are_the_first_that_have_them(tmp_path, made):
    labels = np.array([1, 0, 1, 1, 0, 0])  # of training rows 0, 2, 3, 5
    rows.write(tmp_path, Rows(made.ids, made.split, {**made.arrays, "labels": labels}), {})
    found = rows.first_of(tmp_path, TRAIN, [1, 0, 1, 1, 1])
    assert list(found.ids) == ["00", "05", "02", "03", "00"]  # the fourth of three is the first again
    np.testing.assert_array_equal(found.arrays["images"], made.arrays["images"][[0, 5, 2, 3, 0]])
    with pytest.raises(MissingArtefact, match="split 'train' has no row of label 7"):
        rows.first_of(tmp_path, TRAIN, [1, 7])


def test_rows_on_disk_read_what_is_asked_for(tmp_path, made, monkeypatch):
    rows.write(tmp_path, made, {})
    read, asked = rows.read(tmp_path, TRAIN), []
    monkeypatch.setattr(
        shards.Shards, "read", lambda self, name, of: asked.append((name, of.tolist())) or np.zeros(len(of))
    )
    assert "images" in read.arrays
    assert "x" not in read.arrays
    assert (sorted(read.arrays), len(read.arrays), len(read)) == (["images", "labels"], 2, 4)
    assert read.lengths().tolist() == [1] * 4
    assert read.sizes().tolist() == [16 + 8] * 4
    assert asked == []
    assert list(read.take([3, 0]).ids) == ["05", "00"]
    assert asked == [("images", [5, 0]), ("labels", [5, 0])]
    with pytest.raises(KeyError):
        read.arrays["x"]


def test_rows_on_disk_are_let_go_of_without_being_read(tmp_path, made, monkeypatch):
    rows.write(tmp_path, made, {})
    stored = rows.read(tmp_path, TRAIN)
    monkeypatch.setattr(shards.Shards, "read", None)
    stored.release()
    made.release()  # in memory there is nothing to let go of


def test_sizes_and_lengths_are_the_same_in_memory_and_on_disk(tmp_path):
    ragged = Ragged(np.zeros((9, 3), np.float32), np.array([2, 0, 4, 3]))
    made = Rows(list("abcd"), [TRAIN, TEST, TRAIN, TRAIN], {"number": np.arange(4), "places": ragged})
    rows.write(tmp_path, made, {})
    for split, kept in ((TRAIN, [0, 2, 3]), (TEST, [1])):
        read = rows.read(tmp_path, split)
        assert read.sizes().tolist() == made.sizes()[kept].tolist() == [8 + 12 * [2, 0, 4, 3][i] for i in kept]
        assert read.lengths().tolist() == made.lengths()[kept].tolist() == [[2, 0, 4, 3][i] for i in kept]
