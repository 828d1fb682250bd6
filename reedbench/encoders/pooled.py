"""One vector per image from another encoder's tokens: their mean, standardised. A class token for what has none."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.encoders import AbstractEncoder, Kind, Material, Pretrained

AT_ONCE = 4096  # rows


class Pooled(AbstractEncoder):
    """The mean token of another encoder; every dimension has mean 0 and variance 1 over the training split.

    REG (arXiv:2507.01467) generates DINOv2's class token, whose dimensions are of unit scale as they are.
    """

    domain: ClassVar[str] = "image"
    kind: ClassVar[Kind] = "vector"
    needs_test: ClassVar[bool] = False
    uncited: ClassVar[str] = "a mean of an encoder's tokens that is cited itself"
    uses: Literal["pooled"] = "pooled"

    tokens: str
    """Name of the encoder whose tokens are averaged."""

    def reads_encoders(self) -> tuple[str, ...]:
        """The encoder of the tokens."""
        return (self.tokens,)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """As wide as a token."""
        return others[self.tokens][-1:] if self.tokens in others else None

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Measure the moments."""
        count = len(train.rows)
        parts = [self._means(train.take(range(i, min(i + AT_ONCE, count)))) for i in range(0, count, AT_ONCE)]
        means = np.concatenate(parts).astype(np.float64)
        std = means.std(0)
        weights = {"mean": means.mean(0).astype(np.float32), "std": np.where(std > 1e-6, std, 1.0).astype(np.float32)}
        card = {
            "objective": f"mean token of '{self.tokens}', standardised per dimension",
            "std_before": [round(float(x), 4) for x in (std.min(), std.mean(), std.max())],
            "std_before_is": "least, mean and largest deviation of a dimension over the training split",
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, dim) float32."""
        return ((self._means(material) - weights["mean"]) / weights["std"]).astype(np.float32)

    def _means(self, material: Material) -> np.ndarray:
        found: np.ndarray = np.asarray(material.representations[self.tokens])
        return found.mean(1) if found.ndim == 3 else found
