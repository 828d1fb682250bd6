"""Stable atoms: share of all atoms of all samples whose bonds add up to a valence that a table allows.

Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003; the tables are in `domains/valence.py`.
"""

from typing import ClassVar, Literal

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._stability import StabilityMetric


class AtomStability(StabilityMetric):
    """Stable atoms over all atoms, whether their molecules are valid or not."""

    title: ClassVar[str] = "Stable atoms"
    uses: Literal["atom-stability"] = "atom-stability"

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1."""
        stable, atoms = _molecules.stable(evidence, self.rule)
        return float(stable.sum() / atoms.sum())
