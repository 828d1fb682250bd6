"""scikit-learn's handwritten digits: 1,797 real scans, 8x8, 17 grey levels, 10 classes; no download.

Source: test set of Alpaydin and Kaynak, UCI Optical Recognition of Handwritten Digits, 1998, as bundled with
scikit-learn (BSD-3).
"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.core.constants import IMAGE_LEVELS
from reedbench.datasets._variants import VariedDataset
from reedbench.domains.rows import TEST, TRAIN, Rows

CLASSES = 10
SCANS, SIDE = 1797, 8
SOURCE_LEVELS = 16  # scikit-learn stores counts of ink pixels, 0..16


class Digits(VariedDataset):
    """Stratified split into training and test rows by a named stream."""

    domain: ClassVar[str] = "image"
    embedded: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("alpaydin1998digits",)
    uses: Literal["digits"] = "digits"

    test_rows: int = Field(360, ge=CLASSES, le=SCANS - CLASSES)
    """Scans that are held out, in equal shares of every class."""

    def declared(self) -> dict[str, Any]:
        """Everything that counts: the scans are always the same."""
        whole = {
            "shapes": {"images": [1, SIDE, SIDE], "labels": []},
            "splits": {TRAIN: SCANS - self.test_rows, TEST: self.test_rows},
            "classes": CLASSES,
        }
        return self.told(whole)

    def most_of_a_class(self) -> int:
        """Of the smallest class."""
        return (SCANS - self.test_rows) // CLASSES

    def rows(self) -> Rows:
        """All scans in scikit-learn's order; `images` (1797, 1, 8, 8) uint8 0..255."""
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        source = load_digits()
        labels = source.target.astype(np.int64)
        images = np.round(source.images * (IMAGE_LEVELS / SOURCE_LEVELS)).astype(np.uint8)[:, None]
        split = np.full(len(labels), TRAIN)
        state = seeds.of("split", self.origin) % 2**32
        _, test = train_test_split(
            np.arange(len(labels)), test_size=self.test_rows, stratify=labels, random_state=state
        )
        split[test] = TEST
        ids = [f"{i:04d}" for i in range(len(labels))]
        return self.made(Rows(ids, split.tolist(), {"images": images, "labels": labels}))

    def facts(self) -> dict[str, Any]:
        """Number of classes, and where the scans come from."""
        told = {"classes": CLASSES, "source": "sklearn.datasets.load_digits"}
        return {**told, **self.variant(told)}
