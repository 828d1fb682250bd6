"""How many times further than real data samples are from the reference, over several representations at once.

One representation can be satisfied alone; Yang et al. 2026, arXiv:2604.28190, therefore divide the Frechet distance of
samples by that of real data, representation by representation, and average. Theirs is `against: test` with the
arithmetic mean, which the largest ratio rules.
"""

from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.core.errors import MetricError
from reedbench.metrics import AbstractMetric, Evidence, Features
from reedbench.metrics.fd import FrechetDistance


class FrechetRatio(AbstractMetric):
    """Mean over extractors of FD(samples, reference) / FD(real data, reference); about 1 for real data."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Frechet distance, times that of real data"
    names_in: ClassVar[str] = "among"
    of_moments: ClassVar[bool] = True
    said: ClassVar[frozenset[str]] = frozenset({"uses", "among"})
    cites: ClassVar[tuple[str, ...]] = ("heusel2017fid", "yang2026fdloss")
    uses: Literal["fd-ratio"] = "fd-ratio"

    among: tuple[str, ...] = Field(min_length=1, examples=[["pixels", "features"]])
    """Names of the extractors."""
    against: Literal["halves", "test"] = "halves"
    """Which real data: halves of the reference against each other (of a published one with moments, its images against
    these), or the test split against the reference. Distances fall with n, so that the ratio is no absolute one where
    there are fewer real data than samples."""
    mean: Literal["geometric", "arithmetic"] = "geometric"
    """Of the ratios."""

    @model_validator(mode="after")
    def _names_each_once(self) -> "FrechetRatio":
        if len(set(self.among)) < len(self.among):
            raise ValueError("among: names an extractor twice")
        return self

    @property
    def under(self) -> str:
        """The extractors; no name has two dashes together."""
        return "--".join(self.among)

    @property
    def through(self) -> str:
        """The extractors."""
        return " and ".join(self.among)

    def extractors(self) -> tuple[str, ...]:
        """The extractors."""
        return self.among

    def witnesses(self) -> tuple[str, ...]:
        """The same, where test data are needed."""
        return self.among if self.against == "test" else ()

    def measured(self, evidence: Evidence) -> float:
        """The mean ratio.

        Raises:
            MetricError: real data are no distance from the reference, or a distance cannot be measured.
        """
        ratios = []
        for name in self.among:
            generated, reference = evidence.features(name)
            test = evidence.tested(name, None) if self.against == "test" else None
            floor = _floor(name, reference, test)
            if floor <= 0:
                raise MetricError(f"{self.family}: under {name} real data are at a distance of {floor:.3g}")
            ratios.append(FrechetDistance(extractor=name).checked(generated, reference) / floor)
        if self.mean == "geometric":
            return self.finite(float(np.exp(np.mean(np.log(np.maximum(ratios, np.finfo(np.float64).tiny))))))
        return self.finite(float(np.mean(ratios)))


@lru_cache(maxsize=16)  # the same for all streams of samples
def _floor(name: str, reference: Features, test: Features | None) -> float:
    """Frechet distance of real data."""
    metric = FrechetDistance(extractor=name)
    if test is not None:
        return metric.checked(test, reference)
    if reference.moments is not None:
        return metric.checked(reference.take(slice(None)), reference)
    order = seeds.stream("halves", len(reference)).permutation(len(reference))
    half = len(order) // 2
    return metric.checked(reference.take(order[:half]), reference.take(order[half:]))
