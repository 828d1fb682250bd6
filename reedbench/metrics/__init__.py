"""Metrics: one file each. The id of a metric is its name, its extractor, its version and the number of samples."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from reedbench.core.errors import MetricError
from reedbench.core.plugins import Plugin


@dataclass(frozen=True, eq=False)  # compared by identity: metrics of one cell share computations
class Features:
    """Samples or reference data as an extractor sees them; rows in sample order.

    `features` (n, dim) float64; `labels` (n,) what was asked for; `predicted` (n,) what the extractor calls them,
    where it is a classifier.
    """

    features: np.ndarray
    labels: np.ndarray
    predicted: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: slice | np.ndarray) -> "Features":
        """A part of the rows."""
        predicted = None if self.predicted is None else self.predicted[rows]
        return Features(self.features[rows], self.labels[rows], predicted)


class AbstractMetric(Plugin):
    """A number that compares generated data with reference data under one extractor."""

    version: ClassVar[int] = 1
    unit: ClassVar[str] = ""
    direction: ClassVar[Literal["lower", "higher"]]
    needs_classifier: ClassVar[bool] = False

    extractor: str
    """Name of one of the benchmark's extractors."""

    @property
    def family(self) -> str:
        """Name and extractor, `fd@digits-clf`: how the rest of a benchmark file refers to this metric."""
        return f"{self.uses}@{self.extractor}"

    def least_n(self) -> int:
        """Smallest number of samples for which the metric means something."""
        return 2

    def id(self, n: int) -> str:
        """`fd@digits-clf.v1-n1437`: two protocols never share one."""
        return f"{self.family}.v{self.version}-n{n}"

    @abstractmethod
    def value(self, generated: Features, reference: Features) -> float:
        """The number itself, float64."""

    def checked(self, generated: Features, reference: Features) -> float:
        """`value`, or an error: never NaN, never on too few rows, never without what it needs.

        Raises:
            MetricError: fewer than `least_n` rows, features or a value that are not finite, or no classifier's answers.
        """
        for what, data in (("samples", generated), ("reference rows", reference)):
            if len(data) < self.least_n():
                raise MetricError(f"{self.family}: needs at least {self.least_n()} {what}, got {len(data)}")
            if not np.isfinite(data.features).all():
                raise MetricError(f"{self.family}: the features of the {what} are not finite")
        if self.needs_classifier and generated.predicted is None:
            raise MetricError(f"{self.family}: extractor {self.extractor} says nothing about classes")
        value = float(self.value(generated, reference))
        if not math.isfinite(value):
            raise MetricError(f"{self.family}: the value is {value}, not a finite number")
        return value
