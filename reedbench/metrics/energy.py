"""Energy of samples as they are under MMFF94: low where lengths, angles and contacts are as the force field has them.

As SemlaFlow reports it (util/metrics.py @2f41e57). Large molecules have large energies, whatever their shape.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import EnergyMetric


class Energy(EnergyMetric):
    """Mean energy of samples that have one; `energy-validity` says how many have."""

    title: ClassVar[str] = "MMFF94 energy"
    uses: Literal["energy"] = "energy"

    def energies(self, evidence: Evidence) -> np.ndarray:
        """(n,) kcal/mol."""
        return _molecules.relaxed(evidence)[:, 0]
