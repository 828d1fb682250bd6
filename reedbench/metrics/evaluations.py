"""Network evaluations that a sample took: samplers evaluate a chain only when it has changed."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import AbstractMetric, Evidence


class Evaluations(AbstractMetric):
    """Mean number of network evaluations per chain, beside the scores of the native sequence."""

    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    domain: ClassVar[str | None] = "protein"
    unit: ClassVar[str] = "network evaluations"
    title: ClassVar[str] = "Network evaluations"
    uncited: ClassVar[str] = "a count"
    uses: Literal["evaluations"] = "evaluations"

    @property
    def under(self) -> str:
        """A chain."""
        return "chain"

    @property
    def through(self) -> str:
        """A chain."""
        return "per chain"

    def measured(self, evidence: Evidence) -> float:
        """Mean over samples."""
        return self.finite(float(np.mean(evidence.samples.arrays["evaluations"])))
