"""Another encoder's tokens, whitened: their leading principal components with mean 0 and variance 1."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.encoders import AbstractEncoder, Material, Pretrained
from reedbench.encoders._principal import whitening

AT_ONCE = 1024  # data whose tokens are in memory together


class Whitened(AbstractEncoder):
    """A fixed linear map of another encoder's tokens, from their mean and covariance over the training split.

    Signs are those that make the largest entry of each component positive, so that the map depends on the moments
    alone. RARE takes 128 dimensions of the last layer of DINOv2-B.
    """

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "tokens"
    needs_test: ClassVar[bool] = False
    uncited: ClassVar[str] = "a linear map of an encoder's tokens that is cited itself"
    uses: Literal["whitened"] = "whitened"

    tokens: str = Field(examples=["patches"])
    """Name of the encoder whose tokens are whitened."""
    dim: int = Field(128, ge=1)
    """Dimensions that are kept, those of largest variance."""

    def reads_encoders(self) -> tuple[str, ...]:
        """The encoder."""
        return (self.tokens,)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """As many tokens, of `dim` numbers."""
        return (others[self.tokens][0], self.dim) if len(others.get(self.tokens, ())) == 2 else None

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Moments, part after part, and the map.

        Raises:
            ConfigError: tokens vary in fewer dimensions than that, or there are none.
        """
        began = time.process_time()
        made = whitening(self._parts(train), self.dim, "encoder whitened: dim")
        card: dict[str, Any] = {
            "objective": f"principal components of the tokens of {self.tokens}, training split, each of variance 1",
            "tokens": made.tokens,
            "explained_variance": round(made.share, 4),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained({"mean": made.mean, "map": made.map}, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, tokens, dim) float32."""
        found: np.ndarray = (self._tokens(material) - weights["mean"]) @ weights["map"]
        return found.astype(np.float32)

    def _parts(self, material: Material) -> Iterator[np.ndarray]:
        for start in range(0, len(material.rows), AT_ONCE):
            yield self._tokens(material.take(range(start, min(start + AT_ONCE, len(material.rows)))))

    def _tokens(self, material: Material) -> np.ndarray:
        found: np.ndarray = material.representations[self.tokens]
        if found.ndim != 3:
            raise ConfigError(f"encoder whitened: '{self.tokens}' gives one vector per datum, and tokens are whitened")
        return found
