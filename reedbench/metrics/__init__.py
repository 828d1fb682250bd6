"""Metrics: one file each. The id of a metric names its protocol: `precision@digits-clf+neighbours=10.v1-n1437`.

After the `@` stands what it looks through (an extractor, a folder, which sequence), after each `+` a setting that is
not the default, then the version and the number of samples; `-k2` where they are two of each thing that was asked for,
`-r718` where the reference is not the training split, `-f1a2b3c4d` where it is a published file, by its digest.
"""

import math
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from reedbench.core import archives, io
from reedbench.core.errors import MetricError
from reedbench.core.plugins import Plugin
from reedbench.domains.rows import Rows

THIRDS = ("head", "medium", "tail")  # of classes, by their numbers: the first ones have most rows in a long tail
Moments = tuple[np.ndarray, np.ndarray]  # mean (dim,) and covariance (dim, dim) with n - 1, float64


@dataclass(frozen=True, eq=False)  # compared by identity: metrics of one cell share computations
class Features:
    """Samples or reference data as an extractor sees them; rows in sample order.

    `features` (n, dim) float64, where they are many a memory map; where the extractor is a classifier `labels` (n,),
    the classes that were asked for, and `predicted` (n,), those that it sees. On `device` (`cpu` or `cuda`) metrics
    compare many rows.

    Attributes:
        views: what else the extractor gives of the same rows, by name (`AbstractMetric.view`).
        moments: of a published reference those of all data that it stands for, of which its rows are a part.
        file: of a published reference the sha256 of the file.
    """

    features: np.ndarray
    labels: np.ndarray | None = None
    predicted: np.ndarray | None = None
    device: str = "cpu"
    views: Mapping[str, "Features"] = field(default_factory=dict)
    moments: Moments | None = None
    file: str = ""

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: slice | np.ndarray) -> "Features":
        """A part of the rows, to which no published moments belong."""
        labels, predicted = (None if part is None else part[rows] for part in (self.labels, self.predicted))
        views = {name: view.take(rows) for name, view in self.views.items()}
        return Features(archives.chosen(self.features, rows), labels, predicted, self.device, views, None, self.file)

    @cached_property
    def finite(self) -> bool:
        """Whether all features are finite numbers; looked at once for all metrics."""
        return all(np.isfinite(block).all() for block in archives.blocks(self.features))


@dataclass(frozen=True)
class Tapped:
    """Which hidden states of the network are asked for, on real images that are noised.

    Attributes:
        at: time to which they are noised.
        depth: block, 1-based, of methods that align none.
        first: methods that align take the first block that they do; else `depth` is for all.
        train: images of the training split; 0: none.
        test: images of the test split.
    """

    at: float
    depth: int
    first: bool
    train: int
    test: int


@dataclass(frozen=True)
class Hidden:
    """Mean hidden states of real images with their classes, and the block that they come from."""

    train: Features
    test: Features
    block: int


class Evidence(Protocol):
    """What a metric may look at: the samples of one cell, or of one of its sampling streams.

    Attributes:
        samples: as the codec reads them.
        asked: what each of them was asked to be, in the same order.
        rows: which of the cell's samples these are.
    """

    samples: Rows
    asked: Rows
    rows: slice

    def training(self) -> Rows:
        """The training rows of the dataset; their arrays are read when they are asked for."""
        ...

    def shared(self, make: Callable[..., Any], *settings: Any) -> Any:
        """`make(evidence, *settings)` on all samples of the cell: made once for all metrics and streams.

        Where it has one entry per sample, those of this evidence are at its `rows`.
        """
        ...

    def features(self, extractor: str) -> tuple[Features, Features]:
        """Samples and reference data under an extractor."""
        ...

    def folds(self, folder: str) -> Any:
        """What a folder predicts for the samples (`domains.superposition.Folds`)."""
        ...

    def hidden(self, tapped: Tapped) -> Hidden:
        """Hidden states of the network behind the samples."""
        ...

    def tested(self, extractor: str, count: int | None) -> Features:
        """Test data under an extractor: those whose `hidden` states these are for an equal `count`; none: all."""
        ...


class AbstractMetric(Plugin):
    """A number that says how good the samples of one cell are.

    Attributes:
        view: which of an extractor's further views of a datum it looks at; none: its features.
        compares: whether the reference has a part in the number.
        of_moments: whether it takes the moments of a published reference, where there are, in place of its rows.
        of_training: whether the reference means the rows that methods were trained on.
        of_real: whether it can score real data in place of samples, with no network behind them: reports then show what
            real test data score.
        has_values: whether it knows a number of each sample (`values`), whose distribution reports show.
    """

    title: ClassVar[str] = ""  # in plain words, for axes; without one figures show the name
    unit: ClassVar[str] = ""
    direction: ClassVar[Literal["lower", "higher"]]
    domain: ClassVar[str | None] = None  # none: any
    needs_classifier: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = False  # whether it compares many rows on a GPU where it is told to
    names_in: ClassVar[str] = "extractor"  # the field that names extractors
    view: ClassVar[str] = ""
    compares: ClassVar[bool] = True
    of_moments: ClassVar[bool] = False
    of_training: ClassVar[bool] = False
    of_real: ClassVar[bool] = False
    has_values: ClassVar[bool] = False
    said: ClassVar[frozenset[str]] = frozenset({"uses"})  # settings that `uses@under` says already

    @property
    @abstractmethod
    def under(self) -> str:
        """What it looks through, in lower case letters, digits, dots and dashes."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that neither name nor `under` say, where they are not the defaults."""
        defaults = {name: field.get_default(call_default_factory=True) for name, field in _fields(self).items()}
        plain = self.plain()
        return {
            name: plain[name] for name in defaults if name not in self.said and getattr(self, name) != defaults[name]
        }

    @property
    def family(self) -> str:
        """`fd@digits-clf`, `precision@digits-clf+neighbours=10`: how the rest of a benchmark file calls this metric.

        Name, what it looks through, and every setting that is not the default: two protocols never share one.
        """
        settings = "".join(f"+{name.replace('_', '-')}={_word(value)}" for name, value in self.settings.items())
        return f"{self.uses}@{self.under}{settings}"

    @property
    def heading(self) -> str:
        """Title, what it looks through and settings, in plain words: the axes of figures."""
        settings = [self.in_words(name, value) for name, value in self.settings.items()]
        return ", ".join(word for word in (self.title or self.uses, self.through, *settings) if word)

    def in_words(self, name: str, value: Any) -> str:
        """A setting that is not the default, in plain words."""
        return f"{name.replace('_', ' ')} {_word(value)}"

    @property
    def through(self) -> str:
        """What it looks through in plain words; nothing where the title says all."""
        return self.under

    def extractors(self) -> tuple[str, ...]:
        """Names of the extractors that it needs."""
        return ()

    def witnesses(self) -> tuple[str, ...]:
        """Names of the extractors under which it needs test data (`Evidence.tested`)."""
        return ()

    def folders(self) -> tuple[str, ...]:
        """Names of the folders that it needs."""
        return ()

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads: their digests are part of the provenance."""
        return ()

    def blocks(self) -> tuple[int, ...]:
        """Blocks of the network, 1-based, that it looks into; none: it looks at samples alone."""
        return ()

    def counted(self, n: int) -> int:
        """How many rows the number is about, given the number of samples."""
        return n

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

    def id(self, n: int, repeats: int = 1, reference: int | None = None) -> str:
        """`fd@digits-clf.v1-n1437`, `recovery@state.v1-n128-k2`: two protocols never share one.

        Args:
            n: number of samples.
            repeats: how many of them are of each thing that was asked for: 128 samples of 64 chains are another
                protocol than 128 of 128.
            reference: rows of the reference, where that is not the whole training split.
        """
        each = "" if repeats == 1 else f"-k{repeats}"
        return f"{self.family}.v{self.version}-n{n}{each}" + ("" if reference is None else f"-r{reference}")

    def compared_with(self, rows: int) -> int:
        """How many rows of a reference samples are compared with, given how many there are."""
        return rows

    def protocol(self) -> dict[str, Any]:
        """Its settings as they stand in records, beside what is known of samples and reference."""
        return self.plain()

    def spread(self, evidence: "Evidence") -> dict[str, Any] | None:
        """How far the value would move on other data, as `kind` and what belongs to it; none: over sampling streams."""
        return None

    def values(self, evidence: "Evidence") -> np.ndarray | None:
        """(n,) float64, the number of each sample, NaN where it has none; none where the metric knows no such number.

        Raises:
            NoValue: as `measured` does.
        """
        return None

    @abstractmethod
    def measured(self, evidence: Evidence) -> float:
        """The number, float64 and finite.

        Raises:
            MetricError: what it looks at does not allow a number.
            NoValue: there is none for these samples, and nothing is wrong.
        """

    def finite(self, value: float) -> float:
        """The value.

        Raises:
            MetricError: it is not finite.
        """
        if not math.isfinite(value):
            raise MetricError(f"{self.family}: the value is {value}, not a finite number")
        return float(value)


def _fields(metric: AbstractMetric) -> Any:
    return type(metric).model_fields


def _word(value: Any) -> str:
    """A setting in an id: plain values as they are, others by their digest."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    word = str(value)
    return word if re.fullmatch(r"[A-Za-z0-9._-]+", word) else io.digest_of(value)[:8]


class FeatureMetric(AbstractMetric):
    """A number that compares generated data with reference data under one extractor."""

    said: ClassVar[frozenset[str]] = frozenset({"uses", "extractor"})

    extractor: str
    """Name of one of the benchmark's extractors."""
    classes: Literal["all", "head", "medium", "tail"] = "all"
    """Third of the classes whose samples are compared with reference data of the same classes: those that have most
    training rows in a long tail, or least. For extractors that are classifiers; `n` stays that of all samples."""

    @property
    def under(self) -> str:
        """The extractor."""
        return self.extractor

    def in_words(self, name: str, value: Any) -> str:
        """`tail classes`."""
        return f"{value} classes" if name == "classes" else super().in_words(name, value)

    @property
    def through(self) -> str:
        """Features of the extractor."""
        return f"{self.extractor} features"

    def extractors(self) -> tuple[str, ...]:
        """The extractor."""
        return (self.extractor,)

    def protocol(self) -> dict[str, Any]:
        """Without a word on classes where it is about all."""
        return {name: value for name, value in self.plain().items() if (name, value) != ("classes", "all")}

    @abstractmethod
    def value(self, generated: Features, reference: Features) -> float:
        """The number itself, float64."""

    def measured(self, evidence: Evidence) -> float:
        """The value on samples and reference data."""
        return self.checked(*evidence.features(self.extractor))

    def chosen(self, data: Features) -> Features:
        """The rows of the classes that it is about.

        Raises:
            MetricError: the extractor knows no classes.
        """
        if self.classes == "all":
            return data
        if data.labels is None:
            raise MetricError(f"{self.family}: extractor {self.extractor} says nothing about classes")
        return _third(data, self.classes)

    def checked(self, generated: Features, reference: Features) -> float:
        """`value`, or an error: never NaN, never on too few rows, never without what it needs.

        Raises:
            MetricError: fewer than `least_n` rows, features or a value that are not finite, no classifier's answers, or
                no such view.
        """
        generated, reference = (self.chosen(data) for data in (generated, reference))
        if self.view:
            generated, reference = (self._viewed(data) for data in (generated, reference))
        for what, data in (("samples", generated), ("reference rows", reference)):
            if len(data) < self.least_n():
                raise MetricError(f"{self.family}: needs at least {self.least_n()} {what}, got {len(data)}")
            if not data.finite:
                raise MetricError(f"{self.family}: the features of the {what} are not finite")
        if self.needs_classifier and generated.predicted is None:
            raise MetricError(f"{self.family}: extractor {self.extractor} says nothing about classes")
        return self.finite(self.value(generated, reference))

    def _viewed(self, data: Features) -> Features:
        if self.view not in data.views:
            raise MetricError(f"{self.family}: extractor {self.extractor} gives no {self.view}")
        return data.views[self.view]


@lru_cache(maxsize=32)  # by identity: metrics of one cell share computations
def _third(data: Features, name: str) -> Features:
    """The rows of a third of the classes 0 .. most; where thirds cannot be equal, the first have one more."""
    assert data.labels is not None
    classes = np.arange(int(data.labels.max()) + 1)
    return data.take(np.flatnonzero(np.isin(data.labels, np.array_split(classes, len(THIRDS))[THIRDS.index(name)])))
