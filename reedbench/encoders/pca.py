"""The principal components of another encoder's tokens, each of unit variance: ReDi's maps (arXiv:2504.16064).

The map is that of `whitened`; here it has few components, which a network generates.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.encoders import AbstractEncoder, Kind, Material, Pretrained
from reedbench.encoders._principal import whitening

AT_ONCE = 4096  # rows


class Pca(AbstractEncoder):
    """The first components over all tokens of the training split, standardised there."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Kind] = "tokens"
    needs_test: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("kouzelis2025redi",)
    uses: Literal["pca"] = "pca"

    tokens: str
    """Name of the encoder whose tokens are projected."""
    components: int = Field(8, ge=1)
    """How many are kept."""

    def reads_encoders(self) -> tuple[str, ...]:
        """The encoder of the tokens."""
        return (self.tokens,)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """As many tokens, narrower."""
        return (*others[self.tokens][:-1], self.components) if self.tokens in others else None

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """The covariance over the training tokens, and its eigenvectors; the largest entry of each is positive.

        Raises:
            ConfigError: tokens vary in fewer dimensions than that, or there are none.
        """
        made = whitening(self._parts(train), self.components, "encoder pca: components")
        card = {
            "objective": f"principal components of the tokens of '{self.tokens}', standardised",
            "explained_variance": round(made.share, 4),
        }
        return Pretrained({"mean": made.mean, "components": made.map}, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, tokens, components) float32."""
        tokens = np.asarray(material.representations[self.tokens], np.float32)
        return ((tokens - weights["mean"]) @ weights["components"]).astype(np.float32)

    def _parts(self, material: Material) -> Iterator[np.ndarray]:
        for begin in range(0, len(material.rows), AT_ONCE):
            some = material.take(range(begin, min(begin + AT_ONCE, len(material.rows))))
            tokens = np.asarray(some.representations[self.tokens])
            if tokens.ndim != 3:
                raise ConfigError(f"encoder pca: '{self.tokens}' gives no tokens")
            yield tokens
