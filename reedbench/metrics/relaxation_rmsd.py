"""Relaxation: how far the atoms of samples move to the nearest minimum of MMFF94.

As SemlaFlow and REED report it (opt-rmsd, util/metrics.py @2f41e57); of the same samples as `strain`.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import ValuedMetric


class RelaxationRmsd(ValuedMetric):
    """Mean RMSD over all atoms, hydrogens among them, after superposition."""

    unit: ClassVar[str] = "Angstrom"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "RMSD to the MMFF94 minimum"
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow", "halgren1996mmff94", "tosco2014mmff")
    uses: Literal["relaxation-rmsd"] = "relaxation-rmsd"

    @property
    def under(self) -> str:
        """The force field."""
        return "mmff94"

    @property
    def through(self) -> str:
        """The title says it."""
        return ""

    def each(self, evidence: Evidence) -> np.ndarray:
        """(n,) Angstrom."""
        return _molecules.relaxed(evidence)[:, 2]
