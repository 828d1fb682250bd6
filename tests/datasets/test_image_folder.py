"""Images in class folders, zips and parquet files give the same rows, and what is wrong with them is said."""

import json
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_sets import FILES, HELD_OUT, LABELS, SIDE, dataset, image, in_parquet, laid_out, said, zipped
from PIL import Image

from reedbench.core import paths
from reedbench.core.errors import ConfigError, RunAgain
from reedbench.datasets import _image_parquet, image_folder
from reedbench.datasets.image_folder import ImageFolder
from reedbench.domains.image_files import squared
from reedbench.domains.rows import TEST, TRAIN, Rows

OTHERS = {"n01/notes.txt": b"x", "n01/.hidden.png": b"x", "empty.csv": b""}


def wanted(files: Mapping[str, bytes] = FILES) -> np.ndarray:
    return np.stack([squared(files[name], SIDE) for name in sorted(files)])


@pytest.fixture
def small_parts(monkeypatch) -> None:
    """Two rows a part, and three images at once."""
    even_cuts = image_folder.even_cuts
    monkeypatch.setattr(image_folder, "even_cuts", lambda rows, size: even_cuts(rows, size, 2 * 3 * SIDE**2))
    monkeypatch.setattr(image_folder, "AT_ONCE", 3)
    monkeypatch.setattr(_image_parquet, "BATCH", 1)


@pytest.mark.parametrize("storage", ["png", "webp", "raw"])
@pytest.mark.parametrize("make", [laid_out, zipped, in_parquet])
def test_folders_zips_and_parquet_files_give_the_same_rows(tmp_path, make, storage):
    made = dataset(make(tmp_path / "train"), make(tmp_path / "test", HELD_OUT, **_split(make)), storage=storage)
    rows = made.rows()
    assert rows.ids == [
        *("n01-b/0", "n01-b/1", "n01/deep/er/2", "n01/z", "n02/4"), *("validation/n01/v1", "validation/n02/v0")
    ]  # fmt: skip
    assert rows.split == [TRAIN] * 5 + [TEST] * 2
    assert rows.arrays["labels"].tolist() == [*LABELS, 0, 2]
    assert rows.arrays["labels"].dtype == np.int64
    np.testing.assert_array_equal(rows.arrays["images"], np.concatenate([wanted(), wanted(HELD_OUT)]))
    assert made.declared()["shapes"] == {name: list(array.shape[1:]) for name, array in rows.arrays.items()}
    facts = made.facts()
    assert facts["classes"] == 3
    assert facts["layout"][TRAIN] in ("folder", "zip", "parquet")
    assert made.files() == ()
    assert made.remarks() == []
    assert json.loads(json.dumps([facts, made.decides()])) == [facts, made.decides()]


def _split(make: Callable) -> dict[str, str]:
    return {"split": "validation"} if make is in_parquet else {}


@pytest.mark.parametrize("make", [laid_out, zipped, in_parquet])
def test_parts_are_the_rows_in_pieces(tmp_path, make, small_parts):
    made = dataset(make(tmp_path / "train"), make(tmp_path / "test", HELD_OUT, **_split(make)))
    parts = [part() for part in made.parts()]
    assert [len(part) for part in parts] == [2, 2, 1, 2]
    whole = made.rows()
    assert [name for part in parts for name in part.ids] == whole.ids
    np.testing.assert_array_equal(
        np.concatenate([part.arrays["images"] for part in parts[::-1]][::-1]), whole.arrays["images"]
    )
    again = made.parts()[1]()  # by itself, as another process makes it
    np.testing.assert_array_equal(again.arrays["images"], wanted()[2:4])


def test_names_of_classes_are_told_where_they_are_known(tmp_path):
    assert dataset(laid_out(tmp_path / "a")).facts()["class_names"] == ["n01", "n01-b", "n02"]
    named = dataset(in_parquet(tmp_path / "b", names=["tench", "goldfish", "shark", "ray"])).facts()
    assert (named["classes"], named["class_names"]) == (4, ["tench", "goldfish", "shark", "ray"])
    assert "class_names" not in dataset(in_parquet(tmp_path / "c")).facts()


@pytest.mark.parametrize("make", [laid_out, zipped])
def test_labels_of_a_dataset_json_win(tmp_path, make):
    labels = [[name, number % 2] for number, name in enumerate(reversed(FILES))]
    given = {**FILES, "dataset.json": json.dumps({"labels": labels}).encode()}
    made = dataset(make(tmp_path, given))
    assert made.rows().arrays["labels"].tolist() == [0, 1, 0, 1, 0]
    assert made.facts()["classes"] == 2
    assert "class_names" not in made.facts()
    assert made.files() == ((tmp_path / "dataset.json",) if make is laid_out else ())
    none = dataset(make(tmp_path, {**FILES, "dataset.json": b'{"labels": null}'}))
    assert none.rows().arrays["labels"].tolist() == LABELS


def test_what_the_reference_has_converted_is_read_as_it_is(tmp_path):
    squares = {f"0000{i}/img0000000{i}.png": _square(i) for i in range(2)}
    labels = {"dataset.json": json.dumps({"labels": [[name, 7] for name in squares]}).encode()}
    rows = dataset(laid_out(tmp_path, {**squares, **labels})).rows()
    assert rows.ids == ["00000/img00000000", "00001/img00000001"]
    for row, raw in zip(rows.arrays["images"], squares.values(), strict=True):
        np.testing.assert_array_equal(row, np.asarray(Image.open(BytesIO(raw))).transpose(2, 0, 1))


def _square(seed: int) -> bytes:
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_flips_add_a_mirrored_row_to_every_training_image(tmp_path):
    where = laid_out(tmp_path / "train"), laid_out(tmp_path / "test", HELD_OUT)
    plain, both = dataset(*where).rows(), dataset(*where, flips=True).rows()
    assert both.ids[:4] == ["n01-b/0", "n01-b/0/flipped", "n01-b/1", "n01-b/1/flipped"]
    assert both.ids[10:] == plain.ids[5:]
    train, test = both.where(TRAIN).arrays, both.where(TEST).arrays
    np.testing.assert_array_equal(train["images"][::2], plain.arrays["images"][:5])
    np.testing.assert_array_equal(train["images"][1::2], plain.arrays["images"][:5, :, :, ::-1])
    np.testing.assert_array_equal(test["images"], plain.arrays["images"][5:])
    assert train["labels"].tolist() == [label for label in LABELS for _ in "ab"]


def test_storage_and_tolerance_are_in_no_key_and_decide_parts_or_nothing(tmp_path):
    laid_out(tmp_path)
    one, other, lax = dataset(tmp_path), dataset(tmp_path, storage="raw"), dataset(tmp_path, tolerate=3)
    assert one.identity() == other.identity() == lax.identity()
    assert one.decides() == lax.decides() != other.decides()
    assert one.identity() != dataset(tmp_path, flips=True).identity()


@pytest.mark.parametrize("make", [laid_out, zipped])
def test_another_listing_decides_other_parts(tmp_path, make):
    fewer = dict(list(FILES.items())[:-1])
    one, other = (dataset(make(tmp_path / str(i), files)) for i, files in enumerate((FILES, fewer)))
    assert one.decides() != other.decides()


def test_in_a_zip_content_and_labels_are_part_of_the_listing(tmp_path):
    labels = {"dataset.json": json.dumps({"labels": [[name, 0] for name in FILES]}).encode()}
    changed = {**FILES, "n01/z.JPEG": image(99)}
    made = [dataset(zipped(tmp_path / str(i), files)) for i, files in enumerate((FILES, changed, {**FILES, **labels}))]
    assert len({str(one.decides()) for one in made}) == 3


def test_other_files_are_counted_and_links_followed(tmp_path):
    laid_out(tmp_path / "a", {**FILES, **OTHERS})
    (tmp_path / "b").mkdir()
    for top in ("n01", "n01-b", "n02"):
        (tmp_path / "b" / top).symlink_to(tmp_path / "a" / top)
    one, other = dataset(tmp_path / "a"), dataset(tmp_path / "b")
    assert one.facts()["other_files"] == {TRAIN: 3}
    assert one.rows().ids == other.rows().ids


@pytest.mark.parametrize("make", [laid_out, zipped])
def test_hidden_and_service_folders_and_files_are_no_classes_and_no_images(tmp_path, make):
    strange = (".cache/a", ".ipynb_checkpoints/0", "n01/@eaDir/z", "__MACOSX/n01/z", "n02/__thumb", "n02/@4", "n02/.4")
    made = dataset(make(tmp_path, {**FILES, **{f"{name}.png": image(0) for name in strange}}))
    assert made.rows().ids == dataset(make(tmp_path / "plain")).rows().ids
    assert made.facts()["class_names"] == ["n01", "n01-b", "n02"]
    assert made.facts()["other_files"] == {TRAIN: 3}  # those that lie in no such folder


def test_one_class_and_no_validation_are_remarked(tmp_path):
    made = dataset(laid_out(tmp_path, {"a.png": image(0), "b.png": image(1)}))
    assert made.rows().arrays["labels"].tolist() == [0, 0]
    assert [line.split(":")[0] for line in made.remarks()] == ["no `validation` images", "one class"]


BAD = {
    "no whole JPEG": ({**FILES, "n02/4.webp": image(4, "JPEG")[:200]}, "n02/4.webp cannot be read (", "folder"),
    "no image": ({**FILES, "n01/z.JPEG": b"<html>"}, "n01/z.JPEG cannot be read (cannot identify image file", "zip"),
    "no bytes": (FILES, "n01-b/1.JPEG has no bytes in the parquet file", "parquet"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_images_are_named_and_left_out_only_where_they_are_tolerated(tmp_path, what, capsys):
    files, words, layout = BAD[what]
    lost = [{"bytes": None if name == "n01-b/1.JPEG" else FILES[name], "path": name} for name in sorted(FILES)]
    made = {"folder": laid_out, "zip": zipped, "parquet": lambda *a: in_parquet(*a, image=lost)}[layout](
        tmp_path, files
    )
    message = said(dataset(made))
    assert words in message
    assert "1 images are bad, and `tolerate` is 0" in message
    lax = dataset(made, tolerate=1)
    rows = lax.rows()
    assert len(rows) == 4
    assert f"image-folder: {tmp_path}" in capsys.readouterr().err
    ((name, why),) = lax.absent(rows.ids)["left_out"].items()
    assert f"{name} {why}".startswith(f"{made}/{words}"[:40])
    assert words in f"{name} {why}"
    with pytest.raises(RunAgain, match=r"1 images could not be read and can be now, such as .*n01-b/0\.png; run"):
        lax.absent(rows.ids[1:])
    assert dataset(laid_out(tmp_path / "whole")).absent(sorted(FILES)) == {}


def test_a_part_holds_until_an_image_that_it_lacks_can_be_read(tmp_path, small_parts, capsys):
    made = dataset(laid_out(tmp_path, {**FILES, "n01/z.JPEG": b""}), flips=True, tolerate=1)
    ids = [part().ids for part in made.parts()]
    assert all(made.holds(number, of) for number, of in enumerate(ids))
    laid_out(tmp_path)
    assert [made.holds(number, of) for number, of in enumerate(ids)] == [len(of) == 2 for of in ids]
    assert f"{tmp_path}/n01/z.JPEG can be read now: its part is made again" in capsys.readouterr().err


def test_a_part_of_bad_images_alone_is_empty(tmp_path, small_parts):
    broken = {**FILES, "n01/deep/er/2.png": b"", "n01/z.JPEG": b""}
    made = dataset(laid_out(tmp_path, broken), tolerate=2)
    assert [len(part()) for part in made.parts()] == [2, 0, 1]
    assert said(dataset(tmp_path, tolerate=1)).count("cannot be read") == 2


def test_a_member_that_is_damaged_in_the_zip_is_bad(tmp_path):
    where = zipped(tmp_path)
    raw = bytearray(where.read_bytes())
    with zipfile.ZipFile(where) as archive:
        begin = archive.getinfo("n01/z.JPEG").header_offset
    raw[begin + 60 : begin + 90] = bytes(30)
    where.write_bytes(raw)
    assert "n01/z.JPEG is damaged in the zip (" in said(dataset(where))


def _labels(value: Any) -> dict[str, bytes]:
    return {**FILES, "dataset.json": json.dumps(value).encode()}


REFUSED = {
    "nothing there": ({}, "holds no image in a format that PIL reads, and no parquet files of the split"),
    "splits as classes": (
        {f"{split}/{name}": raw for split in ("train", "val") for name, raw in FILES.items()},
        "its folders are splits (train, val), not classes: name ",
    ),
    "an image beside the folders": ({**FILES, "x.png": image(0)}, "x.png lies beside the class folders; put it in one"),
    "two of one name": ({**FILES, "n02/4.png": image(0)}, "n02/4.webp would both have the id 'n02/4'"),
    "labels in another shape": (_labels([1]), 'dataset.json: must be {"labels": [["path/of/image.png", 0], ...]}'),
    "an image without label": (
        _labels({"labels": [[name, 0] for name in list(FILES)[1:]]}),
        "has no label of 1 of 5 images, such as n01-b/0.png",
    ),
    "a label without image": (
        _labels({"labels": [[name, 0] for name in [*FILES, "n01/gone.png"]]}),
        "names 1 images that are not there, such as n01/gone.png",
    ),
    "a label that is none": (
        _labels({"labels": [[name, "cat"] for name in FILES]}), "label 'cat' is no number from 0 on",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, what):
    files, words = REFUSED[what]
    message = said(dataset(laid_out(tmp_path / "x", {**files, "notes.txt": b""})))
    assert message.startswith("dataset image-folder: ")
    assert words in message


def test_validation_images_need_classes_of_the_training_images(tmp_path):
    train = laid_out(tmp_path / "train")
    strange = laid_out(tmp_path / "strange", {"n03/a.png": image(0)})
    assert "folder 'n03' is no class of" in said(dataset(train, strange))
    flat = laid_out(tmp_path / "flat", {"ILSVRC2012_val_00000001.JPEG": image(0)})
    assert "lie in no class folder, as those of" in said(dataset(train, flat))
    labels = laid_out(flat, {"dataset.json": json.dumps({"labels": [["ILSVRC2012_val_00000001.JPEG", 3]]}).encode()})
    assert "has label 3, and" in said(dataset(train, labels))
    (flat / "dataset.json").write_text(json.dumps({"labels": [["ILSVRC2012_val_00000001.JPEG", 2]]}))
    assert dataset(train, flat).rows().where(TEST).arrays["labels"].tolist() == [2]
    (train / "dataset.json").write_text(json.dumps({"labels": [[name, 0] for name in FILES]}))
    assert "needs a dataset.json" in said(dataset(train, strange))


@pytest.mark.parametrize("name", ["half.zip", "train-00000-of-00001.parquet"])
def test_a_damaged_archive_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 half" if name.endswith("parquet") else b"PK half")
    assert f"{name}: not a whole" in said(dataset(tmp_path / name if name.endswith("zip") else tmp_path))


def _zipped_twice(folder: Path) -> Path:
    where = zipped(folder)
    with zipfile.ZipFile(where, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("n01/z.JPEG", image(9))
    return where


def _parquet_twice(folder: Path) -> Path:
    paths = ["n01/z.JPEG", *sorted(FILES)[1:]]
    return in_parquet(folder, image=[{"bytes": image(0), "path": path} for path in paths])


@pytest.mark.parametrize("make", [_zipped_twice, _parquet_twice])
def test_images_of_one_id_are_told_before_any_is_read(tmp_path, make):
    with pytest.raises(ConfigError, match=r"n01/z\.JPEG: is there twice, and ids pair rows"):
        dataset(make(tmp_path)).parts()


def test_an_image_with_the_id_of_a_mirrored_or_a_test_row_is_told_before_any_is_read(tmp_path):
    mirrored = laid_out(tmp_path / "a", {"n01/z.png": image(0), "n01/z/flipped.png": image(1)})
    assert len(dataset(mirrored).rows()) == 2
    with pytest.raises(ConfigError, match=r"z\.png and .*flipped\.png would both have the id 'n01/z/flipped'"):
        dataset(mirrored, flips=True).parts()
    names = {name: image(0) for name in ("n01/0.png", "validation/n01/0.png")}
    with pytest.raises(ConfigError, match=r"would both have the id 'validation/n01/0'"):
        dataset(laid_out(tmp_path / "b", names), laid_out(tmp_path / "c", {"n01/0.png": image(0)})).parts()


def test_a_path_that_is_not_there_is_named(tmp_path):
    assert "dataset image-folder: path: no such file or folder: " in said(dataset(tmp_path / "no"))
    assert "dataset image-folder: validation: no such file or folder: " in said(
        dataset(laid_out(tmp_path / "a"), tmp_path / "no")
    )


def test_the_real_images_are_160_classes():
    if not (folder := paths.external("imagenet-sample")).exists():
        pytest.skip(f"no ImageNet images in {folder} (set REEDBENCH_DATA)")
    rows: Rows = ImageFolder(path="imagenet-sample", resolution=64, storage="webp").rows()
    assert rows.arrays["images"].shape == (160, 3, 64, 64)
    assert rows.arrays["labels"].tolist() == list(range(160))
    assert rows.ids[0] == "n01498041/n01498041_stingray"
    assert 100 < rows.arrays["images"].mean() < 130
