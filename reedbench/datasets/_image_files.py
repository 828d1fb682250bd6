"""Images as files: a folder of class folders, as torchvision's ImageFolder and ImageNet have them, or a zip of one.

Listing asks for names alone (`os.scandir`, or the directory of the zip), as a million files have to be listed.
"""

import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core.errors import ConfigError
from reedbench.datasets import _images
from reedbench.domains.image_files import BadImage, is_image

LABELS = "dataset.json"
PASSED_OVER = (".", "@", "__")  # .cache, .ipynb_checkpoints; @eaDir of a Synology; __MACOSX in zips
SPLIT_FOLDERS = {"train", "val", "valid", "validation", "test"}


class Files(_images.Source):
    """Images that are files, in a folder or a zip; sorted by their paths as the reference sorts them.

    Labels come from `dataset.json` if it is there and has any, else they number the topmost folders by name.

    Files and folders whose names begin with one of `PASSED_OVER` are no part of it: hidden ones, and those of services.

    Raises:
        ConfigError: there is no image, or labels do not fit.
    """

    layout = "folder"

    def __init__(self, where: Path, like: _images.Source | None) -> None:
        """Read the listing; `like` has the classes, if they are known already."""
        self.where = where
        found, self.others = self._listed()
        self._names = sorted(found)
        if not self._names:
            raise ConfigError(f"{where}: holds no image in a format that PIL reads, and no parquet files of the split")
        given = self._given()
        self._labels, self.class_names, self.classes = self._numbered(given) if given else self._by_folder(like)

    def __len__(self) -> int:
        return len(self._names)

    def names(self) -> Iterable[str]:
        """Below the folder, or in the zip."""
        return self._names

    def read(self, begin: int, stop: int) -> Iterator[_images.Entry]:
        """Each is read by itself."""
        for name, label in zip(self._names[begin:stop], self._labels[begin:stop].tolist(), strict=True):
            yield _images.Entry(name, label, partial(self._load, name))

    def digest(self) -> str:
        """Of the names: to ask for the size of a million files takes minutes."""
        return _images.digest(self._names)

    def files(self) -> tuple[Path, ...]:
        """The labels."""
        return (file,) if (file := self.where / LABELS).is_file() else ()

    def _listed(self) -> tuple[list[str], int]:
        """Paths of images, and the number of other files."""
        found, others, waiting = [], 0, [""]
        while waiting:
            prefix = waiting.pop()
            try:
                entries = list(os.scandir(self.where / prefix))
            except OSError as error:
                raise ConfigError(f"{self.where / prefix}: cannot be listed ({error.strerror})") from error
            for entry in entries:
                strange = _is_strange(entry.name)
                if entry.is_dir():
                    waiting += [] if strange else [f"{prefix}{entry.name}/"]
                elif is_image(entry.name) and not strange:
                    found.append(prefix + entry.name)
                else:
                    others += entry.name != LABELS
        return found, others

    def _labels_text(self) -> bytes | None:
        """What `dataset.json` holds."""
        return file.read_bytes() if (file := self.where / LABELS).is_file() else None

    def _load(self, name: str) -> bytes:
        try:
            return (self.where / name).read_bytes()
        except OSError as error:
            raise BadImage(f"cannot be read ({error.strerror})") from error

    def _given(self) -> Mapping[str, Any]:
        """Labels by name, of `dataset.json`."""
        if (text := self._labels_text()) is None:
            return {}
        try:
            return {name: label for name, label in json.loads(text)["labels"] or ()}
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(
                f'{self.where}/{LABELS}: must be {{"labels": [["path/of/image.png", 0], ...]}} ({error})'
            ) from error

    def _numbered(self, given: Mapping[str, Any]) -> tuple[np.ndarray, None, int]:
        file = f"{self.where}/{LABELS}"
        if lacking := [name for name in self._names if name not in given]:
            raise ConfigError(f"{file}: has no label of {len(lacking)} of {len(self)} images, such as {lacking[0]}")
        if len(given) > len(self):
            absent = sorted(given.keys() - set(self._names))
            raise ConfigError(f"{file}: names {len(absent)} images that are not there, such as {absent[0]}")
        for name, label in given.items():
            if type(label) is not int or label < 0:
                raise ConfigError(f"{file}: {name}: label {label!r} is no number from 0 on")
        labels = np.array([given[name] for name in self._names], np.int64)
        return labels, None, int(labels.max()) + 1

    def _by_folder(self, like: _images.Source | None) -> tuple[np.ndarray, Sequence[str], int]:
        tops = [name.partition("/")[0] if "/" in name else "" for name in self._names]
        names = sorted(set(tops))
        if "" in names and len(names) > 1:
            raise ConfigError(
                f"{self.where}: {self._names[tops.index('')]} lies beside the class folders; put it in one"
            )
        if SPLIT_FOLDERS.issuperset(names):
            raise ConfigError(
                f"{self.where}: its folders are splits ({', '.join(names)}), not classes: name {self.where}/{names[0]}"
            )
        if like is not None:
            names = self._of(like, names)
        number = {name: label for label, name in enumerate(names)}
        return np.array([number[top] for top in tops], np.int64), names, len(names)

    def _of(self, like: _images.Source, names: Sequence[str]) -> Sequence[str]:
        """Classes of the training images, of which these are some."""
        if like.class_names is None:
            raise ConfigError(f"{self.where}: needs a {LABELS}: {like.where} has one, so its folders are no classes")
        if strange := [name for name in names if name not in like.class_names]:
            what = f"folder '{strange[0]}' is no class" if strange[0] else "the images lie in no class folder, as those"
            raise ConfigError(
                f"{self.where}: {what} of {like.where} (it has {len(like.class_names)}, the first is "
                f"'{like.class_names[0]}'); sort the images into its classes, or give them a {LABELS}"
            )
        return like.class_names


class Zip(Files):
    """The same in a zip, compressed or not.

    Raises:
        ConfigError: also if it is no whole zip.
    """

    layout = "zip"

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.where)
        except (zipfile.BadZipFile, OSError) as error:
            raise ConfigError(f"{self.where}: not a whole zip file ({error})") from error

    def digest(self) -> str:
        """Of names, sizes and CRC-32: the zip itself may have 150 GB."""
        labels = [LABELS] if LABELS in self._archive.NameToInfo else []
        members = (self._archive.getinfo(name) for name in [*self._names, *labels])
        return _images.digest(f"{member.filename} {member.file_size} {member.CRC:08x}" for member in members)

    def files(self) -> tuple[Path, ...]:
        """None: labels are in the zip."""
        return ()

    def _listed(self) -> tuple[list[str], int]:
        names = [name for name in self._archive.namelist() if not name.endswith("/") and not _is_below_strange(name)]
        found = [name for name in names if is_image(name) and not _is_strange(name.rpartition("/")[2])]
        return found, len(names) - len(found) - (LABELS in names)

    def _labels_text(self) -> bytes | None:
        return self._archive.read(LABELS) if LABELS in self._archive.NameToInfo else None

    def _load(self, name: str) -> bytes:
        try:
            return self._archive.read(name)
        except Exception as error:  # what a member can be damaged by: its CRC, its compression, a password
            raise BadImage(f"is damaged in the zip ({error})") from error


def _is_strange(name: str) -> bool:
    """Whether a file or folder is passed over."""
    return name.startswith(PASSED_OVER)


def _is_below_strange(path: str) -> bool:
    return any(map(_is_strange, path.split("/")[:-1]))
