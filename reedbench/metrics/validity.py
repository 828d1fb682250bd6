"""Valid molecules: share of samples that RDKit sanitises, or that besides are in one piece.

EDM (qm9/rdkit_functions.py:76-133 @fce07d7) takes bonds from distances; SemlaFlow (util/metrics.py @2f41e57) the
sample's own, and calls `connected` fc-validity.
"""

from typing import ClassVar, Literal

from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import GraphMetric


class Validity(GraphMetric):
    """Samples that are valid, over all samples."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Valid molecules"
    cites: ClassVar[tuple[str, ...]] = ("hoogeboom2022edm", "irwin2024semlaflow")
    uses: Literal["validity"] = "validity"

    connected: bool = False
    """Count only those of one fragment."""

    def in_words(self, name: str, value: object) -> str:
        """A setting that is not the default, in plain words."""
        return "in one piece" if name == "connected" else super().in_words(name, value)

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1; 0 where no sample is valid."""
        found = _molecules.valid(evidence, self.graph)
        if self.connected:
            found = found & (_molecules.fragments(evidence, self.graph) == 1)
        return float(found.mean())
