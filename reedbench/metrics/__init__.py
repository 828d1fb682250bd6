"""Metrics: one file each. The id of a metric is its name, what it looks through, its version and the number of samples.

What a metric looks through stands after the `@`: an extractor (`fd@digits-clf`), a folder, or which sequence is meant.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from reedbench.core.errors import MetricError
from reedbench.core.plugins import Plugin
from reedbench.domains.rows import Rows


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


class Evidence(Protocol):
    """What a metric may look at: the samples of one cell, or of one of its sampling streams.

    Attributes:
        samples: as the codec reads them.
        asked: what each of them was asked to be, in the same order.
    """

    samples: Rows
    asked: Rows

    def features(self, extractor: str) -> tuple[Features, Features]:
        """Samples and reference data under an extractor."""
        ...

    def folds(self, folder: str) -> Any:
        """What a folder predicts for the samples (`domains.superposition.Folds`)."""
        ...


class AbstractMetric(Plugin):
    """A number that says how good the samples of one cell are."""

    version: ClassVar[int] = 1
    title: ClassVar[str] = ""  # in plain words, for axes; without one figures show the name
    unit: ClassVar[str] = ""
    direction: ClassVar[Literal["lower", "higher"]]
    domain: ClassVar[str | None] = None  # none: any
    needs_classifier: ClassVar[bool] = False

    @property
    @abstractmethod
    def under(self) -> str:
        """What it looks through, in lower case letters, digits, dots and dashes."""

    @property
    def family(self) -> str:
        """Name and what it looks through, `fd@digits-clf`: how the rest of a benchmark file refers to this metric."""
        return f"{self.uses}@{self.under}"

    @property
    def heading(self) -> str:
        """Title and what it looks through, in plain words: the axes of figures."""
        return f"{self.title or self.uses}, {words}" if (words := self.through) else self.title or self.uses

    @property
    def through(self) -> str:
        """What it looks through in plain words; nothing where the title says all."""
        return self.under

    def extractors(self) -> tuple[str, ...]:
        """Names of the extractors that it needs."""
        return ()

    def folders(self) -> tuple[str, ...]:
        """Names of the folders that it needs."""
        return ()

    def least_n(self) -> int:
        """Smallest number of samples for which the metric means something."""
        return 2

    def misfit(self, sampling: Any, samplers: Mapping[str, Any]) -> str | None:
        """Why samples that are drawn like this cannot be measured, with what to change; none where they can.

        Args:
            sampling: the benchmark's `sampling`.
            samplers: the benchmark's samplers, by name.
        """
        return None

    def pools(self) -> bool:
        """Whether it needs the samples of all streams together, so that a stream alone has no value of its own."""
        return False

    def id(self, n: int) -> str:
        """`fd@digits-clf.v1-n1437`: two protocols never share one."""
        return f"{self.family}.v{self.version}-n{n}"

    @abstractmethod
    def measured(self, evidence: Evidence) -> float:
        """The number, float64 and finite.

        Raises:
            MetricError: what it looks at does not allow a number.
        """

    def finite(self, value: float) -> float:
        """The value.

        Raises:
            MetricError: it is not finite.
        """
        if not math.isfinite(value):
            raise MetricError(f"{self.family}: the value is {value}, not a finite number")
        return float(value)


class FeatureMetric(AbstractMetric):
    """A number that compares generated data with reference data under one extractor."""

    extractor: str
    """Name of one of the benchmark's extractors."""

    @property
    def under(self) -> str:
        """The extractor."""
        return self.extractor

    @property
    def through(self) -> str:
        """Features of the extractor."""
        return f"{self.extractor} features"

    def extractors(self) -> tuple[str, ...]:
        """The extractor."""
        return (self.extractor,)

    @abstractmethod
    def value(self, generated: Features, reference: Features) -> float:
        """The number itself, float64."""

    def measured(self, evidence: Evidence) -> float:
        """The value on samples and reference data."""
        return self.checked(*evidence.features(self.extractor))

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
        return self.finite(self.value(generated, reference))
