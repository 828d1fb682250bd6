"""Raw pixels as an extractor: no weights, no opinion; the second witness beside a trained extractor."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from reedbench.domains import image
from reedbench.encoders import AbstractEncoder, Material


class PixelVector(AbstractEncoder):
    """Pixels in [-1, 1], one vector per image."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    pretrained: ClassVar[bool] = False
    uncited: ClassVar[str] = "pixels as they are"
    uses: Literal["pixel-vector"] = "pixel-vector"

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, channels * height * width) float32."""
        images = material.rows.arrays["images"]
        return image.to_signed(images).reshape(len(images), -1)
