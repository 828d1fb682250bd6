"""Unique molecules: share of valid samples that differ from each other, by canonical SMILES without stereo.

Hydrogens that are missing stay so: CH3 is not methane (`domains.molecule_graphs.smiles`).

More samples have more in common, so that numbers are comparable at equal n alone.
"""

from typing import ClassVar, Literal

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import GraphMetric


class Uniqueness(GraphMetric):
    """Different SMILES over valid samples (EDM, MiDi, SemlaFlow)."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Unique among valid molecules"
    cites: ClassVar[tuple[str, ...]] = ("hoogeboom2022edm",)
    uses: Literal["uniqueness"] = "uniqueness"

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1.

        Raises:
            NoValue: no sample is valid.
        """
        found = _molecules.smiles(evidence, self.graph)
        return len(set(found)) / len(found)
