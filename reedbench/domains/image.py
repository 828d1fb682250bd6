"""Images: uint8 (n, channels, height, width) on disk, float32 in [-1, 1] for networks, NHWC in sample files.

The sample format (npz with `arr_0`, uint8 NHWC) is that of the ADM evaluator, which SiT, REPA and REED also write.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from reedbench.core import io
from reedbench.core.constants import IMAGE_LEVELS

Rounding = Literal["truncate", "round"]


def to_signed(images: np.ndarray) -> np.ndarray:
    """uint8 0..255 -> float32 -1..1, as x / 127.5 - 1."""
    return images.astype(np.float32) / np.float32(IMAGE_LEVELS / 2) - np.float32(1)


def to_uint8(signed: np.ndarray, rounding: Rounding) -> np.ndarray:
    """float -1..1 -> uint8; REPA and REED truncate, SiT rounds (a shift of half a grey level)."""
    scaled = (signed.astype(np.float64) + 1) * (IMAGE_LEVELS / 2) + (0.5 if rounding == "round" else 0.0)
    return np.floor(np.clip(scaled, 0, IMAGE_LEVELS)).astype(np.uint8)


def write_samples(path: Path | str, images: np.ndarray, labels: np.ndarray) -> None:
    """Write generated images (n, channels, height, width) uint8 and their labels as npz, NHWC."""
    with io.atomic(path) as part, part.open("wb") as file:
        np.savez(file, arr_0=images.transpose(0, 2, 3, 1), labels=labels.astype(np.int64))


def read_samples(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Generated images as (n, channels, height, width) uint8, and their labels."""
    with np.load(io.require(path), allow_pickle=False) as file:
        arrays: dict[str, Any] = {name: file[name] for name in ("arr_0", "labels")}
    return arrays["arr_0"].transpose(0, 3, 1, 2), arrays["labels"]
