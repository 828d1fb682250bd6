"""Improved precision: share of samples inside the reference's manifold. Kynkaanniemi et al. 2019, arXiv:1904.06991."""

from typing import ClassVar, Literal

from reedbench.metrics import Features
from reedbench.metrics._manifold import ManifoldMetric, precision


class Precision(ManifoldMetric):
    """Improved precision; a manifold is the union of balls around points that reach to their k-th neighbour."""

    title: ClassVar[str] = "Precision"
    uses: Literal["precision"] = "precision"

    def value(self, generated: Features, reference: Features) -> float:
        """A share between 0 and 1."""
        return precision(generated, self.compared(reference), self.neighbours)
