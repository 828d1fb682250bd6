"""Encoders: frozen maps from a datum to a representation. One file each.

A representation is the target of an alignment; an *extractor* is an encoder that a metric uses. No encoder is both
in one benchmark.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from reedbench.core.plugins import Plugin
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows

# tokens: (n, tokens, dim). vector: (n, dim). residues: `Ragged` rows (L, dim) for chains of L residues.
# pairs: `Ragged` rows (L * L, dim), the pair of residues (i, j) of a chain at i * L + j.
# attention: (n, layers, heads, tokens, tokens), what the softmax of each head is taken of, between patch tokens alone.
Kind = Literal["tokens", "vector", "residues", "pairs", "attention"]
EXTRACTED: tuple[Kind, ...] = ("tokens", "vector")  # kinds that make features of a sample, for metrics
# Shapes by kind where the width is known only once something is represented; `tokens` have an unknown number, too.
WIDTH = 8
STAND_INS: Mapping[Kind, tuple[int, ...]] = {"vector": (WIDTH,), "residues": (-1, WIDTH), "pairs": (-1, -1, WIDTH)}


def of_datum(kind: Kind, stored: Sequence[int]) -> tuple[int, ...]:
    """Shape of one representation, given that of its rows on disk: pairs lie there one after the other."""
    return (-1, *stored) if kind == "pairs" else tuple(stored)


class Represented(Mapping[str, Any]):
    """Representations of rows by other encoders, each made when it is asked for."""

    def __init__(self, encoders: Mapping[str, Callable[[Rows], np.ndarray | Ragged]], rows: Rows) -> None:
        self.encoders, self.rows = encoders, rows
        self._made: dict[str, np.ndarray | Ragged] = {}

    def __getitem__(self, name: str) -> np.ndarray | Ragged:
        if name not in self._made:
            self._made[name] = self.encoders[name](self.rows)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.encoders)

    def __len__(self) -> int:
        return len(self.encoders)


@dataclass(frozen=True)
class Material:
    """What an encoder may look at: rows, their captions, and other encoders' representations of the same rows.

    All of a split's material stays on disk, and representations are not made, until an encoder asks for them; what
    `take` gives is in memory. An encoder of a large data set takes part after part.
    """

    rows: Rows
    captions: Sequence[str] | None = None
    representations: Mapping[str, Any] = field(default_factory=dict)

    def take(self, rows: Sequence[int]) -> "Material":
        """Some rows, in the order given."""
        captions = None if self.captions is None else [self.captions[i] for i in rows]
        taken, others = self.rows.take(rows), self.representations
        if isinstance(others, Represented):
            return Material(taken, captions, Represented(others.encoders, taken))
        index = np.asarray(rows, np.int64)
        return Material(taken, captions, {name: x[index] for name, x in others.items()})


@dataclass(frozen=True)
class Pretrained:
    """Weights of an encoder and its card: objective, quality, whatever a reader needs to judge it."""

    weights: dict[str, np.ndarray]
    card: dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A reference that somebody published as a file, in place of the training split.

    Attributes:
        file: where it lies.
        rows: data in it, which samples are compared with one by one.
        moments: mean (dim,) and covariance (dim, dim) of more data than these, under the extractor's features
            (`features`) or a view of it.
    """

    file: Path
    rows: Rows
    moments: Mapping[str, tuple[np.ndarray, np.ndarray]]


Encode = Callable[[Material], np.ndarray | Ragged]


@dataclass(frozen=True)
class Online:
    """An encoder as training steps ask it.

    Attributes:
        encode: (n, channels, height, width) uint8 tensor on a device -> representations, a float32 tensor there.
        shape: of one representation.
        at_once: images of a call at most.
    """

    encode: Callable[[Any], Any]
    shape: tuple[int, ...]
    at_once: int


class AbstractEncoder(Plugin):
    """A frozen encoder; trained in-suite by the `pretrain` step where `pretrained` is true.

    `kind` is a class variable, or a property where it depends on the settings.
    """

    domain: ClassVar[str]
    kind: ClassVar[Kind]
    pretrained: ClassVar[bool] = True
    needs_test: ClassVar[bool] = True  # rows of the test split, for the figures of its card, where it is trained
    classifies: ClassVar[bool] = False
    learns_classes: ClassVar[bool] = False  # whether `pretrain` learns from labels, also from those that data hide
    rewards: ClassVar[bool] = False  # whether it has `log_probabilities`
    on_gpu: ClassVar[bool] = False  # whether `prepared` computes on a GPU where it is told to
    studies_on_gpu: ClassVar[bool] = False  # whether `pretrain` does, of the same encoder `on` that device
    views: ClassVar[tuple[str, ...]] = ()  # what its vector holds beside the features, for metrics that ask for it
    unkeyed: ClassVar[frozenset[str]] = frozenset({"threads"})

    threads: int = Field(1, ge=1)
    """CPU threads of its training and use; another number rounds differently."""
    per_seed: bool = False
    """Train it anew for every training seed, so that intervals hold the variance of the target too."""

    @model_validator(mode="after")
    def _trained_per_seed(self) -> "AbstractEncoder":
        if not self.pretrained and not self.reads_encoders():
            self.refuse("per_seed", where=f"on {self.uses}, which is not trained here")
        return self

    def reads_captions_of(self) -> str | None:
        """Name of the captioner whose texts it needs, if any."""
        return None

    def reads_encoders(self) -> tuple[str, ...]:
        """Names of the encoders whose representations it needs."""
        return ()

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...] | None:
        """Shape of one representation, or None where only the representations tell it.

        By it `reedbench check` builds the networks before anything is represented.

        Args:
            facts: index of the dataset.
            others: shapes of the encoders that it reads, as far as they are known.
        """
        return None

    def flops(self, facts: Mapping[str, Any]) -> float | None:
        """Floating-point operations of one representation, counted on shapes alone for `reedbench plan`.

        None where they are known only once something is represented; `represent` counts them then.

        Args:
            facts: index of the dataset.
        """
        return None

    def on(self, device: str) -> Self:
        """The same encoder, whose `pretrain` computes on this device: `cpu`, or `cuda` if it is `studies_on_gpu`."""
        return self

    def studied(self, rows: Rows) -> Rows:
        """Rows as it shall see them in training, which representations of others that it reads are made from, too."""
        return rows

    def studied_rows(self, count: int) -> int:
        """At how many of `count` rows of a split `pretrain` looks: by them its work is counted."""
        return count

    def pretraining_flops(self, facts: Mapping[str, Any], train: int, test: int) -> float | None:
        """Floating-point operations of `pretrain`, where shapes alone tell them; else its step counts a short one.

        Args:
            facts: index of the dataset.
            train: rows of the training split.
            test: rows of the test split.
        """
        return None

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train on the training split; `test` serves quality figures only. `stream` names its randomness.

        How much of the material is in memory at once is the encoder's to bound: it takes what it needs.
        """
        return Pretrained({}, {})

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads, as far as they are few: their digests are part of the provenance."""
        return ()

    def parted(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Representations (n, dim) of an extractor as its `features` and its `views`, each (n, dim of its own)."""
        return {"features": vectors}

    def published(self) -> Published | None:
        """What samples are compared with in place of the training split, for an extractor that names it.

        Raises:
            MissingArtefact: it is not there.
            ConfigError: the file is no such reference.
        """
        return None

    @abstractmethod
    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray | Ragged:
        """One float32 representation per row, in row order, laid out as `kind` says."""

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """`represent` for any part of the material.

        Encoders that read a file of weights, or that can tell by all rows that they will fail, do so here, once in
        each process. The material stays on disk: `material.rows.arrays[name]` reads all of one array.
        `device` is `cpu`, or `cuda` for an encoder that is `on_gpu`.
        """
        return partial(self.represent, weights)

    @property
    def is_online(self) -> bool:
        """Whether training asks it anew in every step, and no representations of it are kept."""
        return False

    def online(self, weights: Mapping[str, np.ndarray], facts: Mapping[str, Any], device: str) -> Online:
        """It as training steps ask it, on a device; of encoders that can be `is_online`.

        Args:
            weights: those that `pretrain` gave.
            facts: index of the dataset.
            device: `cpu` or `cuda`.

        Raises:
            ConfigError: what it needs is not installed, or its weights are others.
            MissingArtefact: its weights are not there.
        """
        raise TypeError(f"{type(self).__name__} is not asked in training steps")

    def classes(self, rows: Rows) -> np.ndarray:
        """(n,) int64 classes that rows have, or were asked to have, for encoders that are classifiers."""
        raise TypeError(f"{type(self).__name__} does not classify")

    def classify(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n,) int64 predicted classes, for encoders that are classifiers."""
        raise TypeError(f"{type(self).__name__} does not classify")

    def log_probabilities(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, classes) float32, for classifiers that can reward a method's samples (`rewards`)."""
        raise TypeError(f"{type(self).__name__} gives no probabilities")


class PreparedEncoder(AbstractEncoder):
    """An encoder that reads weights or builds a network before it represents anything: `prepared` is all it writes."""

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray | Ragged:
        """Made ready and used once."""
        return self.prepared(weights, material)(material)

    @abstractmethod
    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Make it ready; see `AbstractEncoder.prepared`."""
