"""What figures know of a domain: how the first samples of a cell are shown, as one picture and as numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from reedbench.core import residues

ROW_OF_IMAGES = 5
EQUAL, OTHER = 215, 40  # darkness of residues that equal the native one, and of others
LINES = 4  # pixels per chain, and one white one between chains


@dataclass(frozen=True)
class Pictures:
    """Attributes:
    draw: the preview of a cell -> (height, width) or (height, width, 3) uint8; 0 is white in the former.
    numbers: the preview of a cell -> one row per sample.
    caption: what is seen, where the picture does not say so itself.
    stretch: fill the axes, where a pixel has no shape of its own.
    cosine: what the alignment of a hidden layer is called.
    """

    draw: Callable[[np.ndarray], np.ndarray]
    numbers: Callable[[np.ndarray], list[dict[str, Any]]]
    caption: str = ""
    stretch: bool = False
    cosine: str = "cosine to the target (training)"


def montage(images: np.ndarray) -> np.ndarray:
    """(n, h, w, c) uint8 -> one picture with rows of `ROW_OF_IMAGES`, a white line between images."""
    n, h, w, c = images.shape
    lines = -(-n // ROW_OF_IMAGES)
    canvas = np.zeros((lines * (h + 1) - 1, ROW_OF_IMAGES * (w + 1) - 1, c), np.uint8)
    for i, image in enumerate(images):
        top, left = divmod(i, ROW_OF_IMAGES)
        canvas[top * (h + 1) : top * (h + 1) + h, left * (w + 1) : left * (w + 1) + w] = image
    return canvas.squeeze(-1) if c == 1 else canvas


def pixels(images: np.ndarray) -> list[dict[str, Any]]:
    """Grey levels of each image."""
    return [{"sample": n, "pixels": " ".join(map(str, image.reshape(-1).tolist()))} for n, image in enumerate(images)]


def matches(pairs: np.ndarray) -> np.ndarray:
    """(n, 2, length) designed and native tokens -> a line per chain, dark where both are equal."""
    designed, native = pairs[:, 0], pairs[:, 1]
    shade = np.where(designed == native, EQUAL, OTHER)
    shade[native > residues.UNKNOWN] = 0
    lines = np.repeat(shade[:, None], LINES + 1, axis=1)
    lines[:, -1] = 0
    return lines.reshape(-1, pairs.shape[-1])[:-1].astype(np.uint8)


def sequences(pairs: np.ndarray) -> list[dict[str, Any]]:
    """Designed and native sequence of each chain."""
    rows = []
    for n, (designed, native) in enumerate(pairs):
        there = native <= residues.UNKNOWN
        both = (residues.letters(tokens[there]) for tokens in (designed, native))
        rows.append({"sample": n, **dict(zip(("designed", "native"), both, strict=True))})
    return rows


PICTURES = {
    "image": Pictures(montage, pixels, cosine="cosine to the target, time-weighted"),
    "protein": Pictures(
        matches, sequences, "a line per test chain; dark: the designed residue equals the native one", stretch=True
    ),
}
