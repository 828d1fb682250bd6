"""Images kept encoded, without loss, and decoded when rows are asked for: whoever takes rows gets arrays of uint8.

PIL encodes and decodes; it lets other threads run meanwhile, and torchvision decodes no faster. Of the 160 ImageNet
photographs at hand, on one core of a busy machine (bytes; ms to encode; ms to decode):

    256 px: raw 196,608; PNG 122,442, 6.5, 2.0; WebP 99,542, 1.8, 1.3          512 px: 786 kB; 419 kB; 338 kB
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, TypeVar

import numpy as np

from reedbench.core.ragged import Ragged

# PNG's level 3 takes half the time of PIL's 6 and 4 % more room; WebP's first method a seventh of the time of its third
# and 7 % more room.
FORMATS: dict[str, dict[str, Any]] = {
    "webp": {"format": "WEBP", "lossless": True, "method": 0, "quality": 0},
    "png": {"format": "PNG", "compress_level": 3},
}
MODES = {1: "L", 3: "RGB"}  # of PIL, by channels
THREADS = 8  # at most
FEW = 8  # images that are not worth a thread
Given = TypeVar("Given")
Made = TypeVar("Made")


class Pictures:
    """Encoded images of one shape; indexed as the array (n, channels, height, width) uint8 that they decode to.

    Attributes:
        files: (n) rows of uint8, each a whole file in one of `FORMATS`.
        shape: of the array.

    Raises:
        ValueError: there is no such image: it has neither one channel nor three.
    """

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, files: Ragged, row_shape: Iterable[int]) -> None:
        self.files = files
        self.shape = (len(files), *map(int, row_shape))
        if len(self.shape) != self.ndim or self.shape[1] not in MODES:
            raise ValueError(f"images of shape {self.shape[1:]}, not (1 or 3, height, width)")

    @classmethod
    def of(cls, files: Sequence[bytes], row_shape: Iterable[int]) -> "Pictures":
        """One image per file."""
        lengths = np.array([len(file) for file in files], np.int64)
        return cls(Ragged(np.frombuffer(b"".join(files), np.uint8), lengths), row_shape)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: int | slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """One image, or several, decoded.

        Raises:
            ValueError: one is damaged.
        """
        if isinstance(rows, (int, np.integer)):
            return decoded(self.files[rows], self.shape[1:])
        chosen = np.arange(len(self))[rows].tolist()
        images = in_threads(lambda i: self[i], chosen)
        return np.stack(images) if images else np.empty((0, *self.shape[1:]), np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


def encoded(image: np.ndarray, storage: str) -> bytes:
    """(channels, height, width) uint8 as a file in one of `FORMATS`."""
    from PIL import Image

    file = BytesIO()
    last = np.ascontiguousarray(image.transpose(1, 2, 0))
    Image.fromarray(last[..., 0] if len(image) == 1 else last).save(file, **FORMATS[storage])
    return file.getvalue()


def decoded(file: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The image (channels, height, width) uint8 of an encoded file.

    Raises:
        ValueError: it is damaged, or an image of another size.
    """
    from PIL import Image

    try:
        with Image.open(BytesIO(file.tobytes())) as image:
            found = np.asarray(image.convert(MODES[shape[0]]))  # WebP knows no grey
    except (OSError, SyntaxError) as error:
        raise ValueError(f"a stored image cannot be read ({error})") from error
    if found.shape[:2] != tuple(shape[1:]):
        raise ValueError(f"a stored image is {found.shape[1]}x{found.shape[0]}")
    return found.reshape(*found.shape[:2], -1).transpose(2, 0, 1)


def in_threads(work: Callable[[Given], Made], items: Sequence[Given]) -> list[Made]:
    """What `work` makes of every item, in their order; several at a time where they and the processors are many."""
    threads = min(THREADS, len(os.sched_getaffinity(0)), len(items) // FEW)
    if threads < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads, "pictures") as pool:  # a lasting one would not survive a fork
        return list(pool.map(work, items))
