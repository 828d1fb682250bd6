"""Template captions of handwritten digits from measured attributes: class word, stroke, slant, extent, balance, height.

Takes the part of the vision-language model that REED asks to describe an image (arXiv:2507.08980); the class word is
known to every method through its condition, the other words are measured from the pixels.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from reedbench.captioners import AbstractCaptioner
from reedbench.core.constants import IMAGE_LEVELS
from reedbench.domains.rows import Rows

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Words of each attribute from low to high, and the bounds between them: quantiles over the 1,797 scans, rounded.
ATTRIBUTES = {
    "stroke": (("thin", "medium", "bold"), (18.4, 20.6)),
    "slant": (("leftward", "upright", "rightward"), (-0.09, 0.01)),
    "extent": (("narrow", "regular", "wide"), (1.20, 1.32)),
    "ink": (("bottom-heavy", "balanced", "top-heavy"), (0.48, 0.545)),
    "shape": (("short", "tall"), (2.26,)),
}


class MeasuredDigits(AbstractCaptioner):
    """`a handwritten seven, thin stroke, rightward slant, narrow extent, top-heavy ink, tall shape`."""

    domain: ClassVar[str] = "image"
    tells_classes: ClassVar[bool] = True
    uncited: ClassVar[str] = "a template of our own"
    uses: Literal["measured-digits"] = "measured-digits"

    def captions(self, rows: Rows) -> list[str]:
        """One sentence per scan."""
        measured = measure(rows.arrays["images"])
        columns = [[f"{word} {name}" for word in _words(name, measured[name])] for name in ATTRIBUTES]
        heads = [f"a handwritten {WORDS[label]}" for label in rows.arrays["labels"]]
        return [", ".join(parts) for parts in zip(heads, *columns, strict=True)]


def measure(images: np.ndarray) -> dict[str, np.ndarray]:
    """Attributes of scans (n, 1, h, w) uint8, each (n,): ink in pixels, moments of the ink in pixels."""
    ink = images[:, 0].astype(np.float64) / IMAGE_LEVELS
    y, x = np.mgrid[: ink.shape[1], : ink.shape[2]]
    mass = np.maximum(ink.sum((1, 2)), 1e-9)

    def mean(values: np.ndarray) -> np.ndarray:
        return (ink * values).sum((1, 2)) / mass

    dx, dy = (axis[None] - mean(axis)[:, None, None] for axis in (x, y))
    variance_x, variance_y, covariance = mean(dx**2), mean(dy**2), mean(dx * dy)
    top = ink[:, : ink.shape[1] // 2].sum((1, 2)) / mass
    return {
        "stroke": mass,
        "slant": -covariance / np.maximum(variance_y, 1e-9),
        "extent": np.sqrt(variance_x),
        "ink": top,
        "shape": np.sqrt(variance_y),
    }


def _words(name: str, values: np.ndarray) -> Sequence[str]:
    words, bounds = ATTRIBUTES[name]
    return [words[i] for i in np.searchsorted(bounds, values)]
