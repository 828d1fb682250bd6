"""What all layouts of a set of images have in common: a listing, made at once, of images that are read later."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reedbench.domains.image_files import is_image


@dataclass(frozen=True)
class Entry:
    """One image that is not read yet.

    Attributes:
        name: its path, with `/`.
        label: its class.
        load: gives what the file holds; raises `BadImage` if it cannot.
    """

    name: str
    label: int
    load: Callable[[], bytes]


class Source(ABC):
    """Images in a fixed order.

    Attributes:
        layout: in a word.
        where: the folder or the zip.
        class_names: by label, where the source says them.
        classes: how many.
        others: files beside the images.
    """

    layout: str
    where: Path
    class_names: Sequence[str] | None
    classes: int
    others: int = 0

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def names(self) -> Iterable[str]:
        """The path of every image."""

    @abstractmethod
    def read(self, begin: int, stop: int) -> Iterator[Entry]:
        """Some consecutive images."""

    @abstractmethod
    def digest(self) -> str:
        """sha256 of what listing tells: names, of files in a zip also sizes and CRC-32, of parquet files sizes."""

    def files(self) -> tuple[Path, ...]:
        """Small files beside the images that decide something."""
        return ()


def stem(name: str) -> str:
    """A path without what says the format."""
    return name.rpartition(".")[0] if is_image(name) else name


def digest(lines: Iterable[str]) -> str:
    """sha256 of some lines."""
    found = hashlib.sha256()
    for line in lines:
        found.update(f"{line}\n".encode(errors="surrogateescape"))
    return found.hexdigest()
