"""The identity codec: the backbone models pixels in [-1, 1] directly."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.codecs._images import ImageCodec
from reedbench.domains import image


class Pixels(ImageCodec):
    """Pixel space, no compression; sample i is asked for class i mod classes."""

    of_samples: ClassVar[tuple[str, ...]] = ("rounding",)
    uncited: ClassVar[str] = "pixels as they are"
    uses: Literal["pixels"] = "pixels"

    rounding: image.Rounding = "truncate"
    """How samples become uint8: `truncate` as REPA and REED, `round` as SiT."""

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """A latent is an image."""
        return image_shape

    def encode(self, data: np.ndarray) -> np.ndarray:
        """uint8 -> float32 in [-1, 1]."""
        return image.to_signed(data)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """float in [-1, 1] -> uint8."""
        return image.to_uint8(latents, self.rounding)
