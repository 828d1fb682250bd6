"""Another encoder's tokens, whitened: their leading principal components with mean 0 and variance 1."""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.encoders import AbstractEncoder, Material, Pretrained

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
        """Moments in float64, part after part, and the map."""
        began = time.process_time()
        number, first, second = 0, np.zeros(()), np.zeros(())
        for start in range(0, len(train.rows), AT_ONCE):
            tokens = self._tokens(train.take(range(start, min(start + AT_ONCE, len(train.rows)))))
            tokens = tokens.reshape(-1, tokens.shape[-1]).astype(np.float64)
            number, first, second = number + len(tokens), first + tokens.sum(0), second + tokens.T @ tokens
        mean = first / number
        variances, components = np.linalg.eigh(second / number - np.outer(mean, mean))  # rising
        kept, share = self._kept(variances, number)
        components = components[:, kept] * np.sign(components[np.abs(components[:, kept]).argmax(0), kept])
        weights = {"mean": mean.astype(np.float32), "map": (components / np.sqrt(variances[kept])).astype(np.float32)}
        card: dict[str, Any] = {
            "objective": f"principal components of the tokens of {self.tokens}, training split, each of variance 1",
            "tokens": number,
            "explained_variance": round(share, 4),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, tokens, dim) float32."""
        found: np.ndarray = (self._tokens(material) - weights["mean"]) @ weights["map"]
        return found.astype(np.float32)

    def _kept(self, variances: np.ndarray, number: int) -> tuple[np.ndarray, float]:
        """Columns of the leading components, and their share of the variance.

        Raises:
            ConfigError: there are fewer that vary.
        """
        vary = int((variances > 1e-9 * variances[-1]).sum())
        if self.dim > vary:
            raise ConfigError(
                f"encoder whitened: dim {self.dim} is more than the {vary} dimensions in which tokens vary"
            )
        kept = np.arange(len(variances) - 1, len(variances) - 1 - self.dim, -1)
        return kept, float(variances[kept].sum() / variances.sum())

    def _tokens(self, material: Material) -> np.ndarray:
        found: np.ndarray = material.representations[self.tokens]
        if found.ndim != 3:
            raise ConfigError(f"encoder whitened: '{self.tokens}' gives one vector per datum, and tokens are whitened")
        return found
