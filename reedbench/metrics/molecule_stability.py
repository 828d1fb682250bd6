"""Stable molecules: share of samples all of whose atoms are stable.

Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003; the tables are in `domains/valence.py`.
"""

from typing import ClassVar, Literal

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._stability import StabilityMetric


class MoleculeStability(StabilityMetric):
    """Stable molecules over all samples, whether they are valid or not."""

    title: ClassVar[str] = "Stable molecules"
    uses: Literal["molecule-stability"] = "molecule-stability"

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1."""
        stable, atoms = _molecules.stable(evidence, self.rule)
        return float((stable == atoms).mean())
