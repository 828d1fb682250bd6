"""Molecules with an energy: share of samples that are valid and that MMFF94 has parameters for.

As SemlaFlow and REED report it (energy-validity and opt-energy-validity, util/metrics.py @2f41e57).
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import MoleculeMetric


class EnergyValidity(MoleculeMetric):
    """Samples of which `energy` is the mean, over all samples; with `relaxed` those of `strain`."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Molecules with an MMFF94 energy"
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow", "halgren1996mmff94", "tosco2014mmff")
    uses: Literal["energy-validity"] = "energy-validity"

    relaxed: bool = False
    """Count only those for which the optimiser converges within 1,000 iterations."""

    @property
    def under(self) -> str:
        """The force field."""
        return "mmff94"

    @property
    def through(self) -> str:
        """The title says it."""
        return ""

    def in_words(self, name: str, value: object) -> str:
        """A setting that is not the default, in plain words."""
        return "at a minimum"

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1; 0 where no sample is valid."""
        return float(np.isfinite(_molecules.relaxed(evidence)[:, int(self.relaxed)]).mean())
