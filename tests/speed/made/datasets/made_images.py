"""Images of noise, as many as one likes: made part by part, for measurements of memory and speed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.core.parts import even_cuts
from reedbench.datasets import AbstractDataset
from reedbench.domains.rows import TEST, TRAIN, Rows

CLASSES = 10
HELD_OUT = 20  # every 20th image is a test image


class MadeImages(AbstractDataset):
    """Independent pixels, brighter from class to class."""

    domain: ClassVar[str] = "image"
    uses: Literal["made-images"] = "made-images"

    count: int = Field(1000, ge=HELD_OUT)
    """Images."""
    side: int = Field(8, ge=1)
    """Pixels of a side."""
    channels: int = Field(1, ge=1)
    """Colours."""

    def declared(self) -> dict[str, Any]:
        """Everything that counts."""
        test = len(range(0, self.count, HELD_OUT))
        shapes: dict[str, list[int]] = {"images": [self.channels, self.side, self.side], "labels": []}
        return {"shapes": shapes, "splits": {TRAIN: self.count - test, TEST: test}, "classes": CLASSES}

    def rows(self) -> Rows:
        """All of them at once."""
        made = [part() for part in self.parts()]
        arrays = {name: np.concatenate([part.arrays[name] for part in made]) for name in made[0].arrays}
        ids, split = ([name for part in made for name in getattr(part, of)] for of in ("ids", "split"))
        return Rows(ids, split, arrays)

    def parts(self) -> Sequence[Callable[[], Rows]]:
        """Each made by itself."""
        return [partial(self._part, cut) for cut in even_cuts(self.count, self.channels * self.side**2)]

    def facts(self) -> dict[str, Any]:
        """Number of classes."""
        return {"classes": CLASSES}

    def _part(self, cut: slice) -> Rows:
        numbers = np.arange(cut.start, cut.stop)
        labels = numbers % CLASSES
        rng = seeds.stream("made-images", cut.start)
        shape = (len(numbers), self.channels, self.side, self.side)
        images = rng.integers(0, 128, shape, np.uint8) + (10 * labels).astype(np.uint8)[:, None, None, None]
        split = [TEST if number % HELD_OUT == 0 else TRAIN for number in numbers.tolist()]
        return Rows([f"{number:07d}" for number in numbers.tolist()], split, {"images": images, "labels": labels})
