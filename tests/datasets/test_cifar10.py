"""CIFAR-10 from all its layouts, and what is said of files that are not what they should be."""

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _batches
from reedbench.datasets.cifar10 import BATCHES, CLASSES, Cifar10
from reedbench.domains.rows import TEST, TRAIN, Rows

PER_CLASS = {TRAIN: 2, TEST: 1}


def picture(seed: int, size: tuple[int, int] = (32, 32), mode: str = "RGB") -> Image.Image:
    """An image that JPEG keeps almost as it is: one colour."""
    colour = np.random.default_rng(seed).integers(0, 256, 3)
    return Image.new("RGB", size, tuple(map(int, colour))).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def laid_out(folder: Path) -> Path:
    """Class folders: two training images and a test image of each class, coloured by number."""
    for split, count in PER_CLASS.items():
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                file = folder / split / name / f"{i:04d}.jpg"
                file.write_bytes(encoded(picture(100 * label + i + (50 if split == TEST else 0))))
    return folder


def zipped(folder: Path) -> Path:
    """The same as zips."""
    laid_out(folder / "laid")
    for split in PER_CLASS:
        with zipfile.ZipFile(folder / f"{split}.zip", "w") as archive:
            for file in sorted((folder / "laid" / split).rglob("*.jpg"), reverse=True):
                archive.write(file, file.relative_to(folder / "laid" / split))
            archive.writestr("__MACOSX/dog/._0000.jpg", b"not an image")
    return folder


RNG = np.random.default_rng(7)
RAW = {name: RNG.integers(0, 256, (10, 3072), dtype=np.uint8) for names in BATCHES.values() for name in names}
LABELS = {name: RNG.permutation(10).tolist() for name in RAW}


def binary(folder: Path) -> Path:
    inner = folder / "cifar-10-batches-bin"
    inner.mkdir()
    for name, data in RAW.items():
        rows = np.concatenate([np.array(LABELS[name], np.uint8)[:, None], data], 1)
        (inner / f"{name}.bin").write_bytes(rows.tobytes())
    return folder


def pickles(folder: Path, protocol: int = 2, **more: Any) -> Path:
    inner = folder / "cifar-10-batches-py"
    inner.mkdir()
    for name, data in RAW.items():
        entries = {b"data": data, b"labels": LABELS[name], b"filenames": [b"x.png"] * 10, **more}
        (inner / name).write_bytes(pickle.dumps(entries, protocol))
    return folder


def read(folder: Path, **settings: Any) -> Rows:
    return Cifar10(path=str(folder), **settings).rows()


@pytest.mark.parametrize("make", [laid_out, zipped])
def test_class_folders_and_zips_give_the_same_rows_by_class_and_file_name(tmp_path, make):
    rows = read(make(tmp_path))
    assert rows.ids[:3] == ["train/airplane/0000.jpg", "train/airplane/0001.jpg", "train/automobile/0000.jpg"]
    assert len(set(rows.ids)) == len(rows) == 30
    assert rows.split == [TRAIN] * 20 + [TEST] * 10
    assert rows.arrays["labels"].tolist() == [label for label in range(10) for _ in range(2)] + list(range(10))
    assert rows.arrays["images"].dtype == np.uint8
    assert rows.arrays["images"].shape == (30, 3, 32, 32)
    wanted = np.asarray(picture(301)).transpose(2, 0, 1)  # the second cat
    assert np.abs(rows.arrays["images"][7].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("make", [binary, pickles, lambda folder: pickles(folder, protocol=4)])
@pytest.mark.parametrize("inner", [False, True])
def test_batches_give_the_bytes_of_the_files_in_their_order(tmp_path, make, inner):
    folder = make(tmp_path)
    rows = read(next(folder.iterdir()) if inner else folder)
    assert rows.split == [TRAIN] * 50 + [TEST] * 10
    assert rows.ids[11] == "data_batch_2/00001"
    np.testing.assert_array_equal(rows.arrays["images"].reshape(60, -1), np.concatenate(list(RAW.values())))
    assert rows.arrays["labels"].tolist() == [label for labels in LABELS.values() for label in labels]
    assert rows.arrays["images"][0, 1, 0, 0] == RAW["data_batch_1"][0, 1024]  # channels come one after the other


def test_limits_take_equal_shares_and_more_begin_with_the_same_rows(tmp_path):
    few, more = (read(laid_out(tmp_path / name), train_rows=n, test_rows=10) for name, n in (("a", 10), ("b", 13)))
    assert few.arrays["labels"].tolist() == [*range(10), *range(10)]
    assert np.bincount(more.where(TRAIN).arrays["labels"]).tolist() == [2, 2, 2, *[1] * 7]
    assert set(few.ids) < set(more.ids)


def test_batches_are_limited_like_files(tmp_path):
    rows = read(binary(tmp_path), train_rows=10, test_rows=10)
    assert sorted(rows.where(TRAIN).arrays["labels"].tolist()) == list(range(10))


def test_what_is_declared_is_what_there_will_be(tmp_path):
    settings = Cifar10(path=str(laid_out(tmp_path)), train_rows=20, test_rows=10)
    rows, told = settings.rows(), settings.declared()
    assert told["splits"] == {split: len(rows.where(split)) for split in (TRAIN, TEST)}
    assert told["shapes"] == {name: list(array.shape[1:]) for name, array in rows.arrays.items()}
    assert "splits" not in Cifar10().declared()
    assert settings.facts()["layout"] == "folders"


def test_files_of_few_are_told_for_the_record(tmp_path):
    assert Cifar10(path=str(zipped(tmp_path))).files() == (tmp_path / "train.zip", tmp_path / "test.zip")
    assert Cifar10(path=str(tmp_path / "laid")).files() == ()
    (tmp_path / "batches").mkdir()
    assert all(file.is_file() for file in Cifar10(path=str(binary(tmp_path / "batches"))).files())


def test_all_bad_images_are_named_in_one_line(tmp_path):
    folder = laid_out(tmp_path) / TRAIN
    (folder / "cat/0000.jpg").write_bytes(encoded(picture(1))[:300])
    (folder / "dog/0001.jpg").write_bytes(encoded(picture(1, (31, 32))))
    (folder / "frog/0000.jpg").write_bytes(encoded(picture(1, mode="L")))
    (folder / "ship/0000.jpg").write_bytes(b"")
    with pytest.raises(ConfigError) as error:
        read(tmp_path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("dataset cifar10: 4 of 20 images are bad: train/cat/0000.jpg cannot be read (")
    assert "train/dog/0001.jpg is 31x32, train/frog/0000.jpg is not RGB (L), train/ship/0000.jpg cannot be" in message
    assert message.endswith("replace or remove them (images are RGB, 32x32)")


BAD = {
    "none of the layouts": (lambda f: None, "holds neither train.zip and test.zip, nor folders"),
    "a class of CIFAR-100": (
        lambda f: (laid_out(f) / TEST / "dog").rename(f / TEST / "beaver"),
        "test/beaver/0000.jpg: 'beaver' is no class (allowed: airplane, automobile",
    ),
    "half a zip": (
        lambda f: (zipped(f) / "test.zip").write_bytes(b"PK half"), "test.zip: not a whole zip file",
    ),
    "half a batch": (
        lambda f: (binary(f) / "cifar-10-batches-bin/test_batch.bin").write_bytes(bytes(3072)),
        "its 3072 bytes are no whole number of records of 3073",
    ),
    "no such class": (
        lambda f: (binary(f) / "cifar-10-batches-bin/test_batch.bin").write_bytes(b"\x0a" + bytes(3072)),
        "label 10 is not in 0..9",
    ),
    "a batch is gone": (
        lambda f: (pickles(f) / "cifar-10-batches-py/data_batch_3").unlink(), "data_batch_3: no such file",
    ),
    "no pickle": (
        lambda f: (pickles(f) / "cifar-10-batches-py/data_batch_3").write_bytes(b"\x80\x02}q"),
        "cannot be read as a pickle",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_faults_are_told_in_one_line(tmp_path, what):
    spoil, words = BAD[what]
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(words)) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_too_few_images_of_a_class_and_no_folder_are_told(tmp_path):
    with pytest.raises(ConfigError, match="train_rows 40 asks for 4 images of class airplane, and there are 2"):
        read(laid_out(tmp_path), train_rows=40)
    with pytest.raises(ConfigError, match=r"path: no such folder: .*nowhere; relative paths start from"):
        read(tmp_path / "nowhere")


class Harmful:
    """Unpickled by pickle, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


def test_a_pickle_that_would_run_code_is_refused_and_runs_none(tmp_path):
    trap = tmp_path / "sprung"
    folder = pickles(tmp_path, trap=Harmful(trap))
    pickle.loads((folder / "cifar-10-batches-py/data_batch_1").read_bytes())
    assert trap.exists()  # the trap works
    trap.unlink()
    with pytest.raises(ConfigError, match=r"data_batch_1: asks for \S+, which no batch of CIFAR needs: it may run"):
        read(folder)
    assert not trap.exists()


@pytest.mark.parametrize(
    "entries",
    [
        {b"data": np.zeros((2, 3072), np.float32), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072), object), b"labels": [0, 1]},
        {b"data": np.zeros((2, 100), np.uint8), b"labels": [0, 1]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, "1"]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"labels": [0]},
        [1],
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path, entries):
    (tmp_path / "batch").write_bytes(pickle.dumps(entries, 2))
    with pytest.raises(_batches.NotCifar):
        _batches.pickled(tmp_path / "batch", 32)


def test_the_real_files_are_cifar10():
    folder = paths.external("cifar10")
    if not (folder / "train.zip").exists():
        pytest.skip(f"no CIFAR-10 in {folder} (set REEDBENCH_DATA)")
    rows = Cifar10(train_rows=100, test_rows=10).rows()
    assert np.bincount(rows.arrays["labels"]).tolist() == [11] * 10
    assert 90 < rows.arrays["images"].mean() < 150
