"""Self-consistency: RMSD between the backbone that was asked for and the structure predicted for its design."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, SummarisedMetric, backbone_rmsds


class ScRmsd(SummarisedMetric):
    """RMSD over N, CA, C of the residues that count, after superposition; a mean or median over samples."""

    unit: ClassVar[str] = "Angstrom"
    direction: ClassVar[Literal["lower", "higher"]] = "lower"
    title: ClassVar[str] = "Self-consistency RMSD"
    lower_is_better: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("kabsch1976rotation",)
    uses: Literal["sc-rmsd"] = "sc-rmsd"

    def each(self, designs: Designs) -> np.ndarray:
        """(n,) Angstrom."""
        return backbone_rmsds(designs)
