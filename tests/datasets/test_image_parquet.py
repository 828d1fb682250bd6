"""Parquet files of images: how rows are named, and what is refused."""

from typing import Any

import pyarrow as pa
import pytest
from image_sets import FILES, HELD_OUT, LABELS, dataset, in_parquet, said
from pyarrow import parquet

from reedbench.domains.rows import TEST, TRAIN


def test_parquet_files_of_both_splits_may_lie_together_also_in_a_folder_data(tmp_path):
    in_parquet(in_parquet(tmp_path / "data"), HELD_OUT, "validation")
    rows = dataset(tmp_path).rows()
    assert rows.split == [TRAIN] * 5 + [TEST] * 2


def test_parquet_rows_without_a_path_are_named_by_file_and_row(tmp_path):
    files = [{"bytes": FILES[name], "path": None} for name in sorted(FILES)]
    made = dataset(in_parquet(tmp_path / "a", image=files))
    rows = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert made.rows().ids == [f"train-0000{file}-of-00002/00000{row}" for file, row in rows]
    nameless = [{"bytes": one["bytes"]} for one in files]
    assert dataset(in_parquet(tmp_path / "b", image=nameless)).rows().ids == made.rows().ids


def test_parquet_files_of_something_else_are_refused(tmp_path):
    parquet.write_table(pa.table({"img": [b"x"], "label": [0]}), tmp_path / "train-0.parquet")
    assert "needs columns `image` (a struct with `bytes`) and `label`, has ['img', 'label']" in said(dataset(tmp_path))
    in_parquet(tmp_path / "b", names=["a", "b"])
    assert "n02/4.webp: label 2 is not in 0..1" in said(dataset(tmp_path / "b"))


@pytest.mark.parametrize(
    ("labels", "kind"), [(list("01012"), "string"), ([0.0, 1.5, 1.0, 0.0, 2.0], "double"), ([True] * 5, "bool")]
)
@pytest.mark.parametrize("names", [None, ["a", "b", "c"]])
def test_labels_of_parquet_files_are_integers(tmp_path, labels, kind, names):
    message = said(dataset(in_parquet(tmp_path, label=labels, names=names)))
    assert f"train-00000-of-00002.parquet: column `label` has type {kind}; labels must be integers" in message


UNLIKE: dict[str, tuple[dict[str, Any], str]] = {
    "a column more": ({"names": list("abc"), "more": [0] * 5}, "different columns (image: struct<bytes: "),
    "labels of another width": ({"names": list("abc"), "label": pa.array(LABELS, pa.int32())}, ", label: int32)"),
    "other classes": ({"names": list("acb")}, "different names of classes"),
    "no classes": ({}, "different names of classes"),
}


@pytest.mark.parametrize("what", UNLIKE)
def test_parquet_files_of_a_split_are_of_one_set(tmp_path, what):
    change, words = UNLIKE[what]
    in_parquet(tmp_path / "a", names=list("abc"))
    last = "train-00001-of-00002.parquet"
    (in_parquet(tmp_path / "b", **change) / last).replace(tmp_path / "a" / last)
    message = said(dataset(tmp_path / "a"))
    assert f"{tmp_path}/a/train-00000-of-00002.parquet and {tmp_path}/a/{last} have " in message
    assert words in message


def test_a_damaged_row_group_is_named(tmp_path):
    file = in_parquet(tmp_path) / "train-00001-of-00002.parquet"
    raw = bytearray(file.read_bytes())
    raw[4:200] = bytes(196)
    made = dataset(tmp_path)
    file.write_bytes(raw)
    assert "train-00001-of-00002.parquet: row group 0 is damaged (" in said(made)
