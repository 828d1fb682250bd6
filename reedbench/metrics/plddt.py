"""The folder's own confidence in the structures that it predicts for the designs."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, SummarisedMetric, confidences


class Plddt(SummarisedMetric):
    """Mean pLDDT of each predicted structure, 0 to 100, over all its residues; a mean or median over samples."""

    unit: ClassVar[str] = "of 100"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Confidence of the folder (pLDDT)"
    lower_is_better: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("jumper2021alphafold",)
    uses: Literal["plddt"] = "plddt"

    def each(self, designs: Designs) -> np.ndarray:
        """(n,) between 0 and 100."""
        return confidences(designs)
