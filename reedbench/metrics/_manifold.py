"""Precision and recall come from one computation, shared here. Kynkaanniemi et al. 2019, arXiv:1904.06991.

Few rows are compared at once, by the formulas of torch-fidelity's `prc_features_to_metric` to the last bit (tests
compare; see `fd` for why they are written out). Many are compared in blocks: the same distances, on a GPU if there is
one, rounded in another order.

The ADM evaluator has the same rule (guided-diffusion, evaluations/evaluator.py; its numbers are in the tests): squared
distances, a radius that is the fourth smallest entry of a row with itself among them, balls with their surface. But it
rounds distances to float16, and redoes in float32 only those blocks that overflow; these here are float64. Rounded so,
2,000 images of CIFAR-10 against 2,000 under EfficientNet-Lite0 moved by 0.0005 in precision and 0.001 in recall.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.core.errors import MetricError
from reedbench.metrics import Evidence, FeatureMetric, Features, _blocks

if TYPE_CHECKING:
    from torch import Tensor


class ManifoldMetric(FeatureMetric):
    """A manifold is the union of balls around points that reach to their k-th neighbour."""

    cites: ClassVar[tuple[str, ...]] = ("kynkaanniemi2019precision",)
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    on_gpu: ClassVar[bool] = True

    neighbours: int = Field(3, ge=1)
    """k; 3 in the paper and in the ADM evaluator."""
    reference: int | None = Field(None, ge=2)
    """Rows of the reference (the training split, or a file that the extractor names) that samples are compared with,
    drawn without replacement, always the same; all of them where it is left out. Numbers are comparable between equal
    ones alone."""

    @model_validator(mode="after")
    def _all_of_a_third(self) -> "ManifoldMetric":
        if self.classes != "all" and self.reference is not None:
            raise ValueError(f"reference is for all classes, and classes is {self.classes}: take one of them out")
        return self

    def least_n(self) -> int:
        """Every point needs that many neighbours, and one is itself."""
        return self.neighbours + 2

    def id(self, n: int, streams: int = 1, reference: int | None = None) -> str:
        """With the number of rows that samples are compared with, where it is not that of the training split."""
        asked = [rows for rows in (reference, self.reference) if rows is not None]
        return super().id(n, streams, min(asked, default=None))

    def protocol(self) -> dict[str, Any]:
        """Without a word on the reference where that is whole."""
        return {name: value for name, value in super().protocol().items() if name != "reference" or value is not None}

    def compared_with(self, rows: int) -> int:
        """As many as are asked for."""
        return min(rows, self.reference or rows)

    def compared(self, reference: Features) -> Features:
        """The rows of the reference that samples are compared with."""
        return reference if self.reference is None else _some(reference, self.reference)

    def measured(self, evidence: Evidence) -> float:
        """The value on samples and reference data.

        Raises:
            MetricError: the reference has fewer rows than are asked for.
        """
        generated, reference = evidence.features(self.extractor)
        if (asked := self.reference or 0) > len(reference):
            raise MetricError(
                f"{self.family}: reference asks for {asked} rows to compare with, there are {len(reference)}"
            )
        return self.checked(generated, reference)


@lru_cache(maxsize=4)  # the same rows for all streams of samples
def _some(reference: Features, count: int) -> Features:
    """A random part of the reference, in its order; the same whatever asks for it."""
    if count >= len(reference):
        return reference
    draws = seeds.stream("reference", len(reference), count)
    return reference.take(np.sort(draws.choice(len(reference), count, replace=False)))


def precision(generated: Features, reference: Features, neighbours: int) -> float:
    """Share of samples inside the reference's manifold."""
    if _blocks.few(generated, reference):
        return _at_once(generated, reference, neighbours)[0]
    return _blocks.inside(generated, reference, _radii(reference, neighbours))


def recall(generated: Features, reference: Features, neighbours: int) -> float:
    """Share of the reference inside the samples' manifold."""
    if _blocks.few(generated, reference):
        return _at_once(generated, reference, neighbours)[1]
    return _blocks.inside(reference, generated, _radii(generated, neighbours))


@lru_cache(maxsize=8)
def _at_once(generated: Features, reference: Features, neighbours: int) -> tuple[float, float]:
    """Precision and recall; all distances are in memory together."""
    apart = _blocks.distances(reference, generated)
    recall = (apart <= _all_radii(generated, neighbours)).any(dim=1)
    precision = (apart.T <= _all_radii(reference, neighbours)).any(dim=1)
    return precision.float().mean().item(), recall.float().mean().item()


@lru_cache(maxsize=8)  # streams of samples share a reference
def _all_radii(data: Features, neighbours: int) -> "Tensor":
    """(n,) distances to the k-th neighbour, the row itself not counted."""
    return _blocks.distances(data, data).kthvalue(neighbours + 1).values


@lru_cache(maxsize=8)
def _radii(data: Features, neighbours: int) -> "Tensor":
    """(n,) the same in blocks."""
    import torch

    return torch.cat([nearest[:, -1] for nearest in _blocks.smallest(data, data, neighbours + 1)])
