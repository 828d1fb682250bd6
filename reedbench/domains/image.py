"""Images: uint8 (n, channels, height, width) on disk, float32 in [-1, 1] for networks, NHWC in sample files.

The sample format (npz with `arr_0`, uint8 NHWC) is that of the ADM evaluator, which SiT, REPA and REED also write.
"""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np

from reedbench.core import archives
from reedbench.core.archives import Stream
from reedbench.core.constants import IMAGE_LEVELS
from reedbench.domains.rows import Rows

PART = 1024  # images that are worked on together
ROW = 5  # images side by side in a montage
Rounding = Literal["truncate", "round"]
KINDS = "kinds"  # (n,) classes of data that hide their labels: for judges alone


def to_signed(images: np.ndarray) -> np.ndarray:
    """uint8 0..255 -> float32 -1..1, as x / 127.5 - 1."""
    return images.astype(np.float32) / np.float32(IMAGE_LEVELS / 2) - np.float32(1)


def to_uint8(signed: np.ndarray, rounding: Rounding) -> np.ndarray:
    """float -1..1 -> uint8; REPA and REED truncate, SiT rounds (a shift of half a grey level)."""
    scaled = (signed.astype(np.float64) + 1) * (IMAGE_LEVELS / 2) + (0.5 if rounding == "round" else 0.0)
    return np.floor(np.clip(scaled, 0, IMAGE_LEVELS)).astype(np.uint8)


def halved(signed: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels: float (n, channels, height, width) -> (n, channels, height / 2, width / 2)."""
    n, c, h, w = signed.shape
    means: np.ndarray = signed.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return means


def doubled(signed: np.ndarray) -> np.ndarray:
    """Twice the sides by torch's bicubic interpolation (kernel with a = -0.75), which may leave [-1, 1]."""
    import torch

    up = torch.nn.functional.interpolate(torch.from_numpy(signed), scale_factor=2, mode="bicubic")
    result: np.ndarray = up.numpy()
    return result


def blurred(images: np.ndarray, rounding: Rounding = "round") -> np.ndarray:
    """uint8 images at half resolution and back, in parts so that only some are in memory as numbers."""
    parts = (images[i : i + PART] for i in range(0, len(images), PART))
    back = [to_uint8(doubled(halved(to_signed(part))), rounding) for part in parts]
    return np.concatenate(back) if back else images


def montage(images: np.ndarray) -> np.ndarray:
    """Images side by side, five in a row, with a white line between them.

    Args:
        images: (n, height, width, channels) uint8.

    Returns:
        (height, width, channels) uint8, without the last axis where there is one channel. One channel is ink: it is
        shown dark on white.
    """
    n, h, w, c = images.shape
    lines, across = -(-n // ROW), min(n, ROW)
    canvas = np.full((lines * (h + 1) - 1, across * (w + 1) - 1, c), IMAGE_LEVELS, np.uint8)
    for i, each in enumerate(images):
        top, left = divmod(i, ROW)
        shown = IMAGE_LEVELS - each if c == 1 else each
        canvas[top * (h + 1) : top * (h + 1) + h, left * (w + 1) : left * (w + 1) + w] = shown
    return canvas.squeeze(-1) if c == 1 else canvas


def write_samples(path: Path | str, images: Iterable[np.ndarray], labels: np.ndarray) -> None:
    """Write generated images and their labels as npz, NHWC; images come in pieces of which one at a time is in memory.

    Args:
        path: the file.
        images: pieces (k, channels, height, width) uint8, at least one.
        labels: (n,) of all.
    """
    pieces = map(_channels_last, images)
    first = next(pieces)
    arrays = {
        "arr_0": Stream(len(labels), first.shape[1:], first.dtype, chain([first], pieces)),
        "labels": Stream(len(labels), (), np.dtype(np.int64), [labels.astype(np.int64)]),
    }
    archives.write(path, arrays)


def _channels_last(images: np.ndarray) -> np.ndarray:
    last: np.ndarray = images.transpose(0, 2, 3, 1)
    return last


def read_samples(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Generated images as (n, channels, height, width) uint8, of large files as a memory map, and their labels.

    Raises:
        MissingArtefact: the file is absent or damaged.
    """
    arrays = archives.read(path, ("arr_0", "labels"))
    return arrays["arr_0"].transpose(0, 3, 1, 2), arrays["labels"]


def classes_of(rows: Rows) -> np.ndarray:
    """(n,) what judges take for the classes of rows: their labels, also where methods see none."""
    found: np.ndarray = rows.arrays[KINDS if KINDS in rows.arrays else "labels"]
    return found
