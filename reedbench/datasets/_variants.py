"""What image datasets can be made into: training data with a long tail of rare classes, or without labels.

Profile: n_c = n_max * imbalance^(-c / (C - 1)) rows of class c, as in CIFAR-LT (Cui et al. 2019, arXiv:1901.05555).
"""

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.datasets import AbstractDataset
from reedbench.domains.image import KINDS
from reedbench.domains.rows import SPARE, TRAIN, Rows


class VariedDataset(AbstractDataset):
    """Images of classes, of which a variant has a name of its own beside the data that it is made of."""

    imbalance: float = Field(1.0, ge=1)
    """How many times as many training rows the first class has as the last one; those between follow a geometric
    profile. 1 leaves all. What is left out is still in the reference that samples are compared with, and extractors are
    trained on it. Needs a `name`."""
    labelled: bool = True
    """False: methods see no labels, and samples are asked for none; only judges know the classes. Needs a `name`."""

    @model_validator(mode="after")
    def _a_variant_has_a_name(self) -> "VariedDataset":
        if self.varied and not self.name:
            what = "imbalance" if self.imbalance > 1 else "labelled: false"
            raise ValueError(f"{what} makes other data of {self.uses}: give them a name, such as name: {self.uses}-lt")
        most = self.most_of_a_class()
        if most is not None and self.imbalance > most:
            raise ValueError(
                f"imbalance {self.imbalance:g} leaves the last class no row, as a class has at most {most}: it must be "
                "smaller than that"
            )
        return self

    @property
    def varied(self) -> bool:
        """Whether it is a variant."""
        return self.imbalance > 1 or not self.labelled

    @property
    def leaves_out(self) -> bool:
        """With a long tail."""
        return self.imbalance > 1

    @property
    def hides_labels(self) -> bool:
        """If asked to."""
        return not self.labelled

    @property
    def origin(self) -> str:
        """Name by which rows are split: variants are made of the same training rows."""
        return self.uses if self.varied else self.id

    def most_of_a_class(self) -> int | None:
        """No class has more training rows than this before any are left out, if the settings tell."""
        return None

    def told(self, declared: dict[str, Any]) -> dict[str, Any]:
        """What the settings tell of the variant, given what they tell of the data that it is made of."""
        left = {name: value for name, value in declared.items() if name != "splits" or not self.leaves_out}
        if self.hides_labels:
            left["shapes"] = {**declared["shapes"], KINDS: []}
        return {**left, **self.variant(declared)}

    def variant(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Of what the index says, what is other than of the data that it is made of."""
        hidden = {"classes": 0, "hidden_classes": facts["classes"]} if self.hides_labels else {}
        return hidden | ({"imbalance": self.imbalance} if self.leaves_out else {})

    def made(self, rows: Rows) -> Rows:
        """The variant of rows with `labels` 0, 1, ...

        Raises:
            ConfigError: a class would have no row.
        """
        split, arrays, labels = np.asarray(rows.split, object), dict(rows.arrays), rows.arrays["labels"]
        if self.leaves_out:
            split[self._left_out(split, labels)] = SPARE
        if self.hides_labels:
            arrays |= {"labels": np.zeros_like(labels), KINDS: labels}
        return Rows(rows.ids, split.tolist(), arrays)

    def _left_out(self, split: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Numbers of the training rows that are in excess; which, a stream for every class says."""
        own = [np.flatnonzero((split == TRAIN) & (labels == label)) for label in range(int(labels.max()) + 1)]
        kept = profile(min(map(len, own)), len(own), self.imbalance)
        if not kept[-1]:
            raise ConfigError(
                f"dataset {self.id}: imbalance {self.imbalance:g} leaves the last class no row, as the smallest has "
                f"{min(map(len, own))}: it must be at most that"
            )
        orders = (seeds.stream("imbalance", self.origin, label).permutation(rows) for label, rows in enumerate(own))
        return np.concatenate([order[n:] for order, n in zip(orders, kept, strict=True)])


def profile(most: int, classes: int, imbalance: float) -> list[int]:
    """Rows of each class, from `most` down."""
    # What rounding takes off a whole number, it shall not lose.
    return [int(most * imbalance ** (-c / max(1, classes - 1)) + 1e-9) for c in range(classes)]
