"""Codecs: data <-> what the backbone models (the identity for pixels, an SD-VAE for latents). One file each."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from reedbench.core.plugins import Plugin


class AbstractCodec(Plugin):
    """Maps stored data to the backbone's space and samples back to data."""

    version: ClassVar[int] = 1
    domain: ClassVar[str]

    def recipe(self) -> dict[str, Any]:
        """The settings that change what a network is trained on."""
        return self.plain()

    @abstractmethod
    def shape(self, data_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one latent, given the shape of one datum."""

    @abstractmethod
    def encode(self, data: np.ndarray) -> np.ndarray:
        """Stored rows -> float32 latents."""

    @abstractmethod
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Sampled latents -> stored form (uint8 images)."""
