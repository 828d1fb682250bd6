"""Half resolution: the backbone models 2x2 means, which are brought back up bicubically. Fine detail is lost.

For machines on which images of full size are too dear: a quarter of the pixels. What the loss costs under each metric
stands beside the results, as real images through the codec.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.codecs._images import ImageCodec
from reedbench.core.errors import ConfigError
from reedbench.domains import image


class HalfResolution(ImageCodec):
    """Means of 2x2 pixels in [-1, 1]; decoded bicubically."""

    lossy: ClassVar[bool] = True
    of_samples: ClassVar[tuple[str, ...]] = ("rounding",)
    uncited: ClassVar[str] = "means of pixels"
    uses: Literal["half-resolution"] = "half-resolution"

    rounding: image.Rounding = "round"
    """How samples become uint8: `truncate` as REPA and REED, `round` as SiT."""

    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Half the sides.

        Raises:
            ConfigError: a side is odd.
        """
        channels, height, width = image_shape
        if height % 2 or width % 2:
            raise ConfigError(f"codec {self.uses}: images of {height}x{width} cannot be halved: sides must be even")
        return channels, height // 2, width // 2

    def encode(self, data: np.ndarray) -> np.ndarray:
        """uint8 -> float32 in [-1, 1] of half the sides."""
        return image.halved(image.to_signed(data))

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """float in [-1, 1] -> uint8 of twice the sides."""
        return image.to_uint8(image.doubled(latents), self.rounding)
