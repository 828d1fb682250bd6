"""CKNNA: are hidden states of the network alike where a representation is? Huh et al. 2024, arXiv:2405.07987.

REPA shows it against DINOv2 (arXiv:2410.06940, Fig. 2, k = 10): mean hidden states of noised images on the one hand,
the encoder's vectors of the same images on the other. It stands beside the linear probe, and says whether alignment has
reached what it is for.
"""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core.errors import MetricError
from reedbench.metrics import Evidence, Features, Tapped
from reedbench.metrics._inside import InsideMetric


class NeighbourAlignment(InsideMetric):
    """Centred alignment of similarities between mutual nearest neighbours, at most 1."""

    title: ClassVar[str] = "CKNNA of hidden states"
    said: ClassVar[frozenset[str]] = frozenset({"uses", "extractor"})
    cites: ClassVar[tuple[str, ...]] = ("huh2024platonic", "yu2025repa")
    uses: Literal["cknna"] = "cknna"

    extractor: str = Field(examples=["features"])
    """Name of the extractor whose representation hidden states are compared with. Its settings may be those of the
    encoder that methods align to: here it is no judge of samples."""
    neighbours: int = Field(10, ge=2)
    """k; REPA's is 10."""
    estimator: Literal["paper", "reference"] = "paper"
    """The paper's formula, or that of its authors' code (`nn.neighbours`)."""
    test_rows: int = Field(1000, ge=5)
    """Images of the test split that are looked at, chosen by a named stream; REPA has 10,000."""

    @model_validator(mode="after")
    def _has_enough_rows(self) -> "NeighbourAlignment":
        if self.neighbours >= self.test_rows:
            raise ValueError(f"neighbours ({self.neighbours}) must be fewer than test_rows ({self.test_rows})")
        return self

    @property
    def under(self) -> str:
        """The extractor."""
        return self.extractor

    @property
    def through(self) -> str:
        """With what hidden states are compared."""
        return f"with {self.extractor}"

    @property
    def tapped(self) -> Tapped:
        """What it asks the network for."""
        return Tapped(self.at, self.depth, self.tap == "first", 0, self.test_rows)

    def witnesses(self) -> tuple[str, ...]:
        """The extractor."""
        return (self.extractor,)

    def counted(self, n: int) -> int:
        """Test images."""
        return self.test_rows

    def id(self, n: int, repeats: int = 1, reference: int | None = None) -> str:
        """`cknna@dino.v1-n1000`."""
        return super().id(self.test_rows)

    def measured(self, evidence: Evidence) -> float:
        """`value` of the network behind the samples."""
        return self.value(evidence.hidden(self.tapped).test, evidence.tested(self.extractor, self.test_rows))

    def value(self, hidden: Features, represented: Features) -> float:
        """Alignment of the same images, at most 1.

        Raises:
            MetricError: a number is not finite.
        """
        from reedbench.nn.neighbours import cknna

        if not (np.isfinite(hidden.features).all() and np.isfinite(represented.features).all()):
            raise MetricError(f"{self.family}: hidden states or representations are not finite")
        pair = np.asarray(hidden.features), np.asarray(represented.features)
        with np.errstate(invalid="ignore", divide="ignore"):  # the value is then refused
            return self.finite(cknna(*pair, self.neighbours, released=self.estimator == "reference"))

    def spread(self, evidence: Evidence) -> dict[str, object]:
        """None, and the block that was looked at."""
        block = evidence.hidden(self.tapped).block
        return {"kind": "none", "reason": "the same images for every stream of samples", "block": block}
