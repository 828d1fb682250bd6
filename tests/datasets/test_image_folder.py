"""Images in class folders, zips and parquet files give the same rows, and what is wrong with them is said."""

import json
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _image_parquet, image_folder
from reedbench.datasets.image_folder import ImageFolder
from reedbench.domains.image_files import squared
from reedbench.domains.rows import TEST, TRAIN, Rows

SIDE = 8


def image(seed: int, kind: str = "PNG") -> bytes:
    """24x20 of noise."""
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)).save(file, kind)
    return file.getvalue()


# Paths sorted as whole texts: "n01-b/..." comes before "n01/..." though n01 is the first class by name.
FILES = {
    "n01-b/0.png": image(0),
    "n01-b/1.JPEG": image(1, "JPEG"),
    "n01/deep/er/2.png": image(2),
    "n01/z.JPEG": image(3),  # a PNG, whatever it is called
    "n02/4.webp": image(4, "WEBP"),
}
LABELS = [1, 1, 0, 0, 2]
HELD_OUT = {"n02/v0.png": image(10), "n01/v1.png": image(11)}
OTHERS = {"n01/notes.txt": b"x", "n01/.hidden.png": b"x", "empty.csv": b""}


def laid_out(folder: Path, files: Mapping[str, bytes] = FILES, **more: bytes) -> Path:
    for name, content in (*files.items(), *more.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("n01")
        for name in sorted(files, reverse=True):
            archive.writestr(name, files[name])
    return folder / "images.zip"


def in_parquet(folder: Path, files: Mapping[str, bytes] = FILES, split: str = "train", *, names=None, **change) -> Path:
    """Two files, the first of two row groups, as the `datasets` library writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    order, classes = sorted(files), ["n01", "n01-b", "n02"]
    columns = {
        "image": [{"bytes": files[name], "path": name} for name in order],
        "label": [classes.index(name.split("/")[0]) for name in order],
    }
    table = pa.table({**columns, **change})
    if names:
        note = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
    for number, part in enumerate((table.slice(0, 3), table.slice(3))):
        parquet.write_table(part, folder / f"{split}-{number:05d}-of-00002.parquet", row_group_size=2)
    return folder


def dataset(path: Path, validation: Path | str = "", **settings: Any) -> ImageFolder:
    return ImageFolder(path=str(path), validation=str(validation), resolution=SIDE, **settings)


def wanted(files: Mapping[str, bytes] = FILES) -> np.ndarray:
    return np.stack([squared(files[name], SIDE) for name in sorted(files)])


def said(made: ImageFolder) -> str:
    """The one line with which it is refused."""
    with pytest.raises(ConfigError) as error:
        made.rows()
    assert "\n" not in str(error.value)
    return str(error.value)


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
    with pytest.raises(ConfigError, match="2 images are bad, and `tolerate` is 1"):
        lax.absent(rows.ids[1:])
    assert dataset(laid_out(tmp_path / "whole")).absent(sorted(FILES)) == {}


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
    "two of one name": ({**FILES, "n02/4.png": image(0)}, "n02/4.png and n02/4.webp differ in their endings alone"),
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


def test_parquet_files_of_something_else_are_refused(tmp_path):
    parquet.write_table(pa.table({"img": [b"x"], "label": [0]}), tmp_path / "train-0.parquet")
    assert "needs columns `image` (a struct with `bytes`) and `label`, has ['img', 'label']" in said(dataset(tmp_path))
    in_parquet(tmp_path / "b", names=["a", "b"])
    assert "n02/4.webp: label 2 is not in 0..1" in said(dataset(tmp_path / "b"))


def test_a_damaged_row_group_is_named(tmp_path):
    file = in_parquet(tmp_path) / "train-00001-of-00002.parquet"
    raw = bytearray(file.read_bytes())
    raw[4:200] = bytes(196)
    made = dataset(tmp_path)
    file.write_bytes(raw)
    assert "train-00001-of-00002.parquet: row group 0 is damaged (" in said(made)


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
