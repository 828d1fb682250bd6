"""Images of any size and kind in class folders, a zip of them, or Hugging Face's parquet files: ImageNet at full scale.

Every image becomes a square of `resolution` pixels by ADM's centre crop (`domains.image_files`), as in the preparation
of REPA and REED (REED 0a4527e preprocessing/dataset_tools.py), whose converted folders and zips are read too. Rows are
paired with captions and all that is made of them by ids, never by position.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import console
from reedbench.core.errors import ConfigError, RunAgain
from reedbench.core.parts import even_cuts
from reedbench.core.pictures import Pictures, encoded, in_threads
from reedbench.datasets import AbstractDataset, _image_parquet, _images
from reedbench.datasets._image_files import Files, Zip
from reedbench.domains import image_files
from reedbench.domains.image_files import BadImage
from reedbench.domains.rows import TEST, TRAIN, Rows

CHANNELS = 3
AT_ONCE = 64  # images that are in memory as they came
SHOWN = 20  # bad images that a message names
NAMES = {TRAIN: "train", TEST: "validation"}  # of splits, in names of parquet files
HELD_OUT, FLIPPED = "validation/", "/flipped"  # what ids of test rows begin with, and of mirrored ones end with


class ImageFolder(AbstractDataset):
    """Images and their classes; ids are paths below `path` without ending, of test rows `validation/` and the path."""

    domain: ClassVar[str] = "image"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"storage", "tolerate"})  # the same rows, whatever they say
    uncited: ClassVar[str] = "a layout: whose images they are is said by `papers`"
    uses: Literal["image-folder"] = "image-folder"

    path: str = "imagenet/train"
    """Training images, from the working directory or $REEDBENCH_DATA: a folder of class folders of any depth, where
    labels number the topmost folders by name, or a .zip of one; in both a `dataset.json` with labels, as EDM, REPA and
    REED write it, has precedence. Files and folders whose names begin with `.`, `@` or `__` are passed over (`.cache`,
    `@eaDir`, `__MACOSX`). Or a folder of Hugging Face's parquet files `train-*.parquet`, all with the same columns."""
    validation: str = ""
    """Test images, likewise, in the classes of the training images. If it is empty they are the `validation-*.parquet`
    beside the training files; if there are none either, there is no test split: all images are trained on, as by the
    reference, and what asks for test rows (the quality of encoders, what a codec loses) has none."""
    resolution: int = Field(256, ge=1)
    """Sides of the squares that images become, in pixels."""
    flips: bool = False
    """Every training image a second time, mirrored, as a row of its own (<id>/flipped): so latents and representations
    of it are cached too, at twice the room, and half of what is trained on is mirrored, as if at random with
    probability 0.5 (SiT, while it encodes; REPA and REED: never). Statistics of training data then count both."""
    storage: Literal["webp", "png", "raw"] = "webp"
    """How the squares lie on disk; rows are the same, and webp is without loss too. 1.28 million at 256 pixels take
    some 128 GB as webp, 157 GB as png, 252 GB raw; one core reads some 750, 500 or 100,000 a second. A set that is
    prepared stays as it is."""
    tolerate: int = Field(0, ge=0)
    """Images that may be left out because they cannot be read; the index names them. One more stops the preparation.
    What a stopped preparation has left out is tried again by the next one."""

    def declared(self) -> dict[str, Any]:
        """Shapes; how many there are the files tell."""
        return {"shapes": {"images": list(self._shape), "labels": []}}

    def rows(self) -> Rows:
        """All parts at once: `images` (n, 3, resolution, resolution) uint8, and `labels`.

        Raises:
            ConfigError: as `parts`.
        """
        made = [part() for part in self.parts()]
        arrays = {name: np.concatenate([part.arrays[name] for part in made]) for name in made[0].arrays}
        ids, split = ([name for part in made for name in getattr(part, of)] for of in ("ids", "split"))
        return Rows(ids, split, arrays)

    def parts(self) -> Sequence[Callable[[], Rows]]:
        """Training images by path, then test images; parquet files in their order. Images of a part are encoded.

        Raises:
            ConfigError: images are absent, in no layout that is known, or two of one id; when a part is made: more of
                them than tolerated are no images; they are named.
        """
        return [partial(self._part, split, cut) for split, cut in self._cuts]

    def files(self) -> tuple[Path, ...]:
        """`dataset.json`; the images have digests in the manifest, and their listing has one in the index."""
        return tuple(file for source in self._sources.values() for file in source.files())

    def decides(self) -> object:
        """The listing, and how images are stored."""
        return [[source.digest() for source in self._sources.values()], self.storage]

    def facts(self) -> dict[str, Any]:
        """Classes, where the images come from, and a digest of their listing."""
        train = self._sources[TRAIN]
        named = {"class_names": list(train.class_names)} if train.class_names else {}
        return {
            "classes": train.classes,
            **named,
            "source": self.path,
            "layout": {split: source.layout for split, source in self._sources.items()},
            "listing": {split: source.digest() for split, source in self._sources.items()},
            "other_files": {split: source.others for split, source in self._sources.items()},
        }

    def holds(self, number: int, ids: Sequence[str]) -> bool:
        """Not if an image that it lacks can be read now: it was mended, or what failed was the disk."""
        split, cut = self._cuts[number]
        if len(ids) == self._twins(split) * (cut.stop - cut.start):
            return True
        there, source = set(ids), self._sources[split]
        for entry in source.read(cut.start, cut.stop):
            if _id(split, entry.name) not in there and not isinstance(self._made(split, entry), BadImage):
                console.say(f"{self.id}: {source.where}/{entry.name} can be read now: its part is made again")
                return False
        return True

    def absent(self, ids: Sequence[str]) -> dict[str, Any]:
        """Images that were left out, and why.

        Raises:
            ConfigError: there are more than tolerated.
            RunAgain: one of them can be read now.
        """
        if len(ids) == sum(self._twins(split) * len(source) for split, source in self._sources.items()):
            return {}
        there, why, whole = set(ids), dict[str, str](), list[str]()
        for split, source in self._sources.items():
            for i, name in enumerate(source.names()):
                if _id(split, name) not in there:
                    (entry,) = source.read(i, i + 1)
                    made = self._made(split, entry)
                    if isinstance(made, BadImage):
                        why[f"{source.where}/{name}"] = str(made)
                    else:
                        whole.append(f"{source.where}/{name}")
        self._check(why)
        if whole:
            raise RunAgain(
                f"dataset {self.id}: {len(whole)} images could not be read and can be now, such as {whole[0]}; run "
                "again, and their parts are made again"
            )
        return {"left_out": why}

    def remarks(self) -> list[str]:
        """What may not be meant."""
        lines = []
        if TEST not in self._sources:
            lines.append("no `validation` images: there is no test split")
        if self._sources[TRAIN].classes == 1:
            lines.append("one class: all images lie in one folder (labels number the topmost folders)")
        return lines

    @property
    def _shape(self) -> tuple[int, int, int]:
        return CHANNELS, self.resolution, self.resolution

    def _twins(self, split: str) -> int:
        """Rows that an image makes."""
        return 2 if self.flips and split == TRAIN else 1

    def _ids(self, split: str, name: str) -> list[str]:
        """Of the rows that an image makes."""
        return [_id(split, name), _id(split, name) + FLIPPED][: self._twins(split)]

    @cached_property
    def _cuts(self) -> list[tuple[str, slice]]:
        """Split and images of every part."""
        size = CHANNELS * self.resolution**2
        return [
            (split, cut)
            for split, source in self._sources.items()
            for cut in even_cuts(len(source), self._twins(split) * size)
        ]

    @cached_property
    def _sources(self) -> dict[str, _images.Source]:
        """By split; the listing is read once."""
        path, validation = self.existing("path"), self.existing("validation") if self.validation else None
        try:
            train = self._source(TRAIN, path, None)
            found = {TRAIN: train}
            if validation is not None:
                found[TEST] = self._source(TEST, validation, train)
            elif train.layout == "parquet" and _image_parquet.files(train.where, NAMES[TEST]):
                found[TEST] = self._source(TEST, train.where, train)
            self._refuse_same_ids(found)
        except ConfigError as error:
            raise ConfigError(f"dataset {self.id}: {error}") from error
        return found

    def _source(self, split: str, where: Path, train: _images.Source | None) -> _images.Source:
        if where.is_file():
            found: _images.Source = Zip(where, train)
        elif _image_parquet.files(where, NAMES[split]):
            found = _image_parquet.Parquet(where, NAMES[split])
        else:
            found = Files(where, train)
        if train is not None and found.classes > train.classes:
            raise ConfigError(f"{where}: has label {found.classes - 1}, and {train.where} has {train.classes} classes")
        return found

    def _refuse_same_ids(self, sources: dict[str, _images.Source]) -> None:
        """Of images; told before any is read, as `publish` tells it only when all are made, and drops them."""

        def named() -> Iterator[tuple[str, str]]:
            for split, source in sources.items():
                for name in source.names():
                    for own in self._ids(split, name):
                        yield own, f"{source.where}/{name}"

        if len({own for own, _ in named()}) < sum(self._twins(split) * len(of) for split, of in sources.items()):
            seen: dict[str, str] = {}
            for own, name in named():
                if own in seen:
                    raise ConfigError(_of_one_id(own, seen[own], name))
                seen[own] = name

    @cached_property
    def _bad(self) -> dict[str, str]:
        """What this process has left out, and why."""
        return {}

    def _part(self, split: str, cut: slice) -> Rows:
        source = self._sources[split]
        ids, labels, images, bad = [], [], [], dict[str, str]()
        for entries in _chunks(source.read(cut.start, cut.stop), AT_ONCE):
            for entry, made in zip(entries, in_threads(partial(self._made, split), entries), strict=True):
                if isinstance(made, BadImage):
                    bad[f"{source.where}/{entry.name}"] = str(made)
                    continue
                ids += self._ids(split, entry.name)
                labels += [entry.label] * len(made)
                images += made
        if bad:
            self._bad.update(bad)
            self._check(self._bad)
            for name, why in bad.items():
                console.say(f"{self.id}: {name} {why}: left out")
        stored = np.array(images, np.uint8).reshape(-1, *self._shape) if self.storage == "raw" else None
        arrays = {"images": Pictures.of(images, self._shape) if stored is None else stored}
        return Rows(ids, [split] * len(ids), {**arrays, "labels": np.array(labels, np.int64)})

    def _made(self, split: str, entry: _images.Entry) -> list[Any] | BadImage:
        """What is stored of an image, once or twice; or what is wrong with it."""
        try:
            image = image_files.squared(entry.load(), self.resolution)
        except BadImage as error:
            return error
        images = [image, image[:, :, ::-1]][: self._twins(split)]
        return images if self.storage == "raw" else [encoded(each, self.storage) for each in images]

    def _check(self, bad: dict[str, str]) -> None:
        if len(bad) > self.tolerate:
            lines = [f"{name} {why}" for name, why in list(bad.items())[:SHOWN]]
            lines += [f"and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
            raise ConfigError(
                f"dataset {self.id}: {len(bad)} images are bad, and `tolerate` is {self.tolerate}: {', '.join(lines)}; "
                f"mend them, or say `tolerate: {len(bad)}` or more to leave them out, which keeps what is made already"
            )


def _id(split: str, name: str) -> str:
    return (HELD_OUT if split == TEST else "") + _images.stem(name)


def _of_one_id(own: str, one: str, other: str) -> str:
    if one == other:
        return f"{one}: is there twice, and ids pair rows with their captions and more; remove or rename one"
    return f"{one} and {other} would both have the id '{own}', and ids pair rows with more; remove or rename one"


def _chunks(entries: Iterator[_images.Entry], size: int) -> Iterator[list[_images.Entry]]:
    while chunk := list(islice(entries, size)):
        yield chunk
