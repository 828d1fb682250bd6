"""Improved precision: share of samples inside the reference's manifold. Kynkaanniemi et al. 2019, arXiv:1904.06991."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.metrics import FeatureMetric, Features
from reedbench.metrics._manifold import precision_recall


class Precision(FeatureMetric):
    """Improved precision; a manifold is the union of balls around points that reach to their k-th neighbour."""

    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Precision"
    uses: Literal["precision"] = "precision"

    neighbours: int = Field(3, ge=1)
    """k; 3 in the paper and in the ADM evaluator."""

    def least_n(self) -> int:
        """Every point needs that many neighbours, and one is itself."""
        return self.neighbours + 2

    def value(self, generated: Features, reference: Features) -> float:
        """A share between 0 and 1."""
        return precision_recall(generated, reference, self.neighbours)[0]
