"""Composition: how far the frequencies of amino acids in designs are from those in the native chains."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.core.residues import VOCABULARY
from reedbench.metrics._designs import Designs, SequenceMetric


class Composition(SequenceMetric):
    """Jensen-Shannon divergence of the frequencies over all residues. Lin 1991, https://doi.org/10.1109/18.61115."""

    unit: ClassVar[str] = "bits"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Distance of amino acid frequencies"
    uses: Literal["composition"] = "composition"

    def value(self, designs: Designs) -> float:
        """Between 0 and 1 bit."""
        sides = zip(*designs.counted(self.of), strict=True)
        p, q = (_frequencies(np.concatenate(side)) for side in sides)
        return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)  # rounding may fall below 0


def _frequencies(tokens: np.ndarray) -> np.ndarray:
    return np.bincount(tokens, minlength=VOCABULARY) / len(tokens)


def _entropy(p: np.ndarray) -> float:
    there = p[p > 0]
    return float(-(there * np.log2(there)).sum())
