"""Composition: how far the frequencies of amino acids in designs are from those in the native chains."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, SequenceMetric
from reedbench.metrics._votes import Votes
from reedbench.nn.residues import VOCABULARY


class Composition(SequenceMetric):
    """Jensen-Shannon divergence of the frequencies over all residues. Lin 1991, https://doi.org/10.1109/18.61115."""

    unit: ClassVar[str] = "bits"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Distance of amino acid frequencies"
    cites: ClassVar[tuple[str, ...]] = ("lin1991divergence",)
    uses: Literal["composition"] = "composition"

    def votes(self, designs: Designs) -> Votes:
        """Between 0 and 1 bit."""
        _, place, number = np.unique(designs.clusters(), return_inverse=True, return_counts=True)
        letters = np.zeros((2, len(number), VOCABULARY))
        for cluster, pair in zip(place, designs.counted(self.of), strict=True):
            letters[:, cluster] += [np.bincount(side, minlength=VOCABULARY) for side in pair]
        return Votes(number, lambda counts: _divergence(*(counts @ side for side in letters)))


def _divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon divergence in bits of two counts of letters."""
    p, q = one / one.sum(), other / other.sum()
    return max(0.0, _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2)  # rounding may fall below 0


def _entropy(p: np.ndarray) -> float:
    there = p[p > 0]
    return float(-(there * np.log2(there)).sum())
