"""What classifiers of images share that judge samples: labels, and what their training images go through."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.domains import image
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder


class ImageJudge(AbstractEncoder):
    """A classifier of images, trained with labels: an extractor, never a target."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    classifies: ClassVar[bool] = True
    learns_classes: ClassVar[bool] = True

    through: Literal["nothing", "half-resolution"] = "nothing"
    """What its training images go through: the codec of the samples that it will judge, so that it does not take the
    codec's loss for a fault of theirs. The card's accuracy is on test images that went through it too."""

    def studied(self, rows: Rows) -> Rows:
        """Images halved and brought back, if asked for."""
        if self.through == "nothing":
            return rows
        return Rows(rows.ids, rows.split, {**rows.arrays, "images": image.blurred(rows.arrays["images"])})

    def classes(self, rows: Rows) -> np.ndarray:
        """The labels."""
        return image.classes_of(rows)
