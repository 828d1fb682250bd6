"""Improved recall: share of the reference inside the samples' manifold. Kynkaanniemi et al. 2019, arXiv:1904.06991."""

from typing import ClassVar, Literal

from reedbench.metrics import Features
from reedbench.metrics._manifold import ManifoldMetric, recall


class Recall(ManifoldMetric):
    """Improved recall; a manifold is the union of balls around points that reach to their k-th neighbour."""

    title: ClassVar[str] = "Recall"
    uses: Literal["recall"] = "recall"

    def value(self, generated: Features, reference: Features) -> float:
        """A share between 0 and 1."""
        return recall(generated, self.compared(reference), self.neighbours)
