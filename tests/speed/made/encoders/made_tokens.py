"""A fixed random map of patches: as cheap as an encoder can be, for measurements of memory and speed."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.domains import image
from reedbench.encoders import AbstractEncoder, Kind, Material

GRID = 4  # patches along a side


class MadeTokens(AbstractEncoder):
    """One token per patch, or the mean of them."""

    domain: ClassVar[str] = "image"
    pretrained: ClassVar[bool] = False
    uses: Literal["made-tokens"] = "made-tokens"

    output: Literal["tokens", "vector"] = "tokens"
    """All tokens, or their mean."""
    dim: int = Field(32, ge=1)
    """Width of a token."""

    @property
    def kind(self) -> Kind:
        """As `output` says."""
        return self.output

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, 16, dim), or (n, dim), float32."""
        images = image.to_signed(material.rows.arrays["images"])
        n, channels, height, width = images.shape
        patches = images.reshape(n, channels, GRID, height // GRID, GRID, width // GRID).transpose(0, 2, 4, 1, 3, 5)
        flat = patches.reshape(n, GRID**2, -1)
        projection = seeds.stream("made-tokens").standard_normal((flat.shape[-1], self.dim), dtype=np.float32)
        tokens: np.ndarray = flat @ projection
        return tokens.mean(1) if self.output == "vector" else tokens
