"""Strain: how far above the nearest minimum of MMFF94 samples are.

As SemlaFlow and REED report it (util/metrics.py @2f41e57), over samples for which the optimiser converges within 1,000
iterations (REED's rule, see `domains/molecule_energies.py`).
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import EnergyMetric


class Strain(EnergyMetric):
    """Mean of energy as it is less energy at the minimum; `energy-validity` with `relaxed` says how many have it."""

    title: ClassVar[str] = "MMFF94 strain"
    uses: Literal["strain"] = "strain"

    def energies(self, evidence: Evidence) -> np.ndarray:
        """(n,) kcal/mol."""
        found = _molecules.relaxed(evidence)
        return found[:, 0] - found[:, 1]
