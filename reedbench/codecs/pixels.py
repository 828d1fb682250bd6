"""The identity codec: the backbone models pixels in [-1, 1] directly."""

from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.codecs import AbstractCodec
from reedbench.domains import image


class Pixels(AbstractCodec):
    """Pixel space, no compression."""

    domain: ClassVar[str] = "image"
    uses: Literal["pixels"] = "pixels"

    rounding: image.Rounding = "truncate"
    """How samples become uint8: `truncate` as REPA and REED, `round` as SiT."""

    def recipe(self) -> dict[str, Any]:
        """Rounding concerns samples only."""
        return {"uses": self.uses}

    def shape(self, data_shape: tuple[int, ...]) -> tuple[int, ...]:
        """A latent is an image."""
        return data_shape

    def encode(self, data: np.ndarray) -> np.ndarray:
        """uint8 -> float32 in [-1, 1]."""
        return image.to_signed(data)

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """float in [-1, 1] -> uint8."""
        return image.to_uint8(latents, self.rounding)
