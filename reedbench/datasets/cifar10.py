"""CIFAR-10: 60,000 photographs of ten kinds of things, 32x32 in colour, read from where they lie.

Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. Nothing is downloaded; `path` says which layouts
are known.
"""

import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import paths
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError
from reedbench.datasets import _batches
from reedbench.datasets._variants import VariedDataset
from reedbench.domains.rows import TEST, TRAIN, Rows

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
TRAINING = 50_000
SUFFIXES = (".jpg", ".jpeg", ".png")
SHOWN = 5  # bad files that a message names
BATCHES = {TRAIN: [f"data_batch_{i}" for i in range(1, 6)], TEST: ["test_batch"]}
LAYOUTS = {"cifar-10-batches-bin": (".bin", _batches.binary), "cifar-10-batches-py": ("", _batches.pickled)}
Split = tuple[list[str], np.ndarray, np.ndarray]  # ids, images, labels
File = tuple[str, Callable[[], bytes]]  # `airplane/0001.jpg`, and what reads it


class Cifar10(VariedDataset):
    """The ten classes in their usual order; ids are the files' names, in batches the batch and the row."""

    domain: ClassVar[str] = "image"
    cites: ClassVar[tuple[str, ...]] = ("krizhevsky2009cifar",)
    uses: Literal["cifar10"] = "cifar10"

    path: str = "cifar10"
    """A folder, from the working directory or $REEDBENCH_DATA, that holds one of: `train.zip` and `test.zip`, or
    folders `train` and `test`, with one folder of JPEG or PNG files per class; `cifar-10-batches-bin`, the binary
    version; `cifar-10-batches-py`, torchvision's, of which only arrays of bytes and labels are read, never code."""
    train_rows: int | None = Field(None, ge=len(CLASSES))
    """Training images, in equal shares of every class, those first in the files; all if it is not given."""
    test_rows: int | None = Field(None, ge=len(CLASSES))
    """Test images, likewise."""

    def declared(self) -> dict[str, Any]:
        """Shapes and classes; numbers of rows as far as they are asked for."""
        asked = {TRAIN: self.train_rows, TEST: self.test_rows}
        told = {"shapes": {"images": [3, SIDE, SIDE], "labels": []}, "classes": len(CLASSES)}
        return self.told(told if None in asked.values() else {**told, "splits": asked})

    def most_of_a_class(self) -> int:
        """In equal shares of what is asked for, or of the whole set."""
        return -(-(self.train_rows or TRAINING) // len(CLASSES))

    def rows(self) -> Rows:
        """Training rows, then test rows; `images` (n, 3, 32, 32) uint8 and `labels`.

        Raises:
            ConfigError: the folder is not there, has none of the layouts, or holds bad files; these are named.
        """
        folder, layout = self._found()
        splits = {split: self._limited(split, *self._split(folder, layout, split)) for split in (TRAIN, TEST)}
        ids = [name for names, _, _ in splits.values() for name in names]
        labels = [split for split, (names, _, _) in splits.items() for _ in names]
        images, classes = _batches.joined([(images, classes) for _, images, classes in splits.values()])
        return self.made(Rows(ids, labels, {"images": images, "labels": classes}))

    def files(self) -> tuple[Path, ...]:
        """Zips and batches; single images, which are many, have their digests in the manifest."""
        folder, layout = self._found()
        if layout == "zip":
            return tuple(folder / f"{split}.zip" for split in (TRAIN, TEST))
        if layout == "folders":
            return ()
        return tuple(folder / layout / f"{name}{LAYOUTS[layout][0]}" for names in BATCHES.values() for name in names)

    def facts(self) -> dict[str, Any]:
        """Classes, and the layout."""
        told = {"classes": len(CLASSES), "class_names": list(CLASSES), "source": self.path, "layout": self._found()[1]}
        return {**told, **self.variant(told)}

    def _found(self) -> tuple[Path, str]:
        """The folder and its layout: the first that is there, in the order in which `path` names them."""
        folder = paths.external(self.path)
        if not folder.is_dir():
            raise ConfigError(
                f"dataset {self.id}: path: no such folder: {folder}; relative paths start from the working directory "
                "or $REEDBENCH_DATA"
            )
        if folder.name in LAYOUTS:
            return folder.parent, folder.name
        there = {
            "zip": all((folder / f"{split}.zip").is_file() for split in (TRAIN, TEST)),
            "folders": all((folder / split).is_dir() for split in (TRAIN, TEST)),
            **{name: (folder / name).is_dir() for name in LAYOUTS},
        }
        for layout, found in there.items():
            if found:
                return folder, layout
        raise ConfigError(
            f"dataset {self.id}: {folder}: holds neither train.zip and test.zip, nor folders train and test, nor "
            f"{' or '.join(LAYOUTS)}"
        )

    def _split(self, folder: Path, layout: str, split: str) -> Split:
        """All of a split that may be wanted."""
        if layout not in LAYOUTS:
            return self._decoded(split, _zipped(folder / f"{split}.zip") if layout == "zip" else _laid(folder / split))
        suffix, read = LAYOUTS[layout]
        parts, ids = [], []
        for name in BATCHES[split]:
            file = folder / layout / f"{name}{suffix}"
            try:
                parts.append(read(file, SIDE))
            except FileNotFoundError as error:
                raise ConfigError(f"dataset {self.id}: {file}: no such file; unpack the archive again") from error
            except _batches.NotCifar as error:
                raise ConfigError(f"dataset {self.id}: {file}: {error}; unpack the archive again") from error
            ids += [f"{name}/{row:05d}" for row in range(len(parts[-1][1]))]
        images, labels = _batches.joined(parts)
        if (unknown := labels[(labels < 0) | (labels >= len(CLASSES))]).size:
            raise ConfigError(f"dataset {self.id}: {folder / layout}: label {unknown[0]} is not in 0..9")
        return ids, images, labels

    def _decoded(self, split: str, files: Sequence[File]) -> Split:
        """Images of class folders: `files` are names `<class>/<file>`, and what gives the bytes of each."""
        by_class: dict[str, list[File]] = {name: [] for name in CLASSES}
        for name, read in files:
            kind = name.split("/")[0]
            if kind not in by_class:
                raise ConfigError(
                    f"dataset {self.id}: {split}/{name}: '{kind}' is no class (allowed: {', '.join(CLASSES)})"
                )
            by_class[kind].append((name, read))
        limit = self._limit(split)
        wanted = [
            (label, *one)
            for label, own in enumerate(by_class.values())
            for one in sorted(own, key=lambda file: file[0])[: None if limit is None else _share(limit, label)]
        ]
        images, bad = np.zeros((len(wanted), 3, SIDE, SIDE), np.uint8), []
        with Track(f"read {self.id} {split}", len(wanted), unit="image") as track:
            for i, (_, name, read) in enumerate(wanted):
                try:
                    images[i] = _pixels(read())
                except ValueError as error:
                    bad.append(f"{split}/{name} {error}")
                track.update(i + 1)
        if bad:
            more = f", and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
            raise ConfigError(
                f"dataset {self.id}: {len(bad)} of {len(wanted)} images are bad: {', '.join(bad[:SHOWN])}{more}; "
                f"replace or remove them (images are RGB, {SIDE}x{SIDE})"
            )
        return [f"{split}/{name}" for _, name, _ in wanted], images, np.array([label for label, _, _ in wanted], int)

    def _limit(self, split: str) -> int | None:
        return self.train_rows if split == TRAIN else self.test_rows

    def _limited(self, split: str, ids: list[str], images: np.ndarray, labels: np.ndarray) -> Split:
        """The rows asked for, by class in equal shares, in the order of the files.

        Raises:
            ConfigError: a class has too few.
        """
        if (limit := self._limit(split)) is None:
            return ids, images, labels
        keep = []
        for label, name in enumerate(CLASSES):
            own, share = np.flatnonzero(labels == label), _share(limit, label)
            if len(own) < share:
                raise ConfigError(
                    f"dataset {self.id}: {split}_rows {limit} asks for {share} images of class {name}, and there are "
                    f"{len(own)}"
                )
            keep.append(own[:share])
        chosen = np.sort(np.concatenate(keep))
        return [ids[i] for i in chosen], images[chosen], labels[chosen]


def _share(limit: int, label: int) -> int:
    """Rows of one class: the first classes have one more where they cannot be equal."""
    return limit // len(CLASSES) + (label < limit % len(CLASSES))


def _zipped(file: Path) -> list[File]:
    """Names `<class>/<file>` in a zip, and what reads each."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        raise ConfigError(f"{file}: not a whole zip file ({error})") from error
    names = [name for name in archive.namelist() if _is_image(name.split("/")[-1])]
    return [("/".join(name.split("/")[-2:]), lambda name=name: _of(archive, name)) for name in names]


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _of(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise ValueError(f"is damaged in the zip ({error})") from error


def _laid(folder: Path) -> list[File]:
    """Names `<class>/<file>` in a folder, and what reads each."""
    files = (file for file in folder.glob("*/*") if _is_image(file.name))
    return [(f"{file.parent.name}/{file.name}", file.read_bytes) for file in files]


def _pixels(raw: bytes) -> np.ndarray:
    """(3, 32, 32) uint8.

    Raises:
        ValueError: the file is no image, or another one; says what is wrong.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(raw)) as image:
            if image.size != (SIDE, SIDE):
                raise ValueError(f"is {image.width}x{image.height}")
            if image.mode != "RGB":
                raise ValueError(f"is not RGB ({image.mode})")
            return np.asarray(image).transpose(2, 0, 1)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # what PIL says of damaged files
        raise ValueError(f"cannot be read ({str(error) or type(error).__name__})") from error
