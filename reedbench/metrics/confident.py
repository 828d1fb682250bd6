"""Share of designs whose predicted structure the folder is sure of."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, FoldedMetric, confidences

SURE = 80.0  # mean pLDDT: the limit of REED (protein/fmif/train_fmif.py @0a4527e)


class Confident(FoldedMetric):
    """Share of samples with mean pLDDT above 80; with `best`, of chains that have such a sample."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Samples with pLDDT above 80"
    lower_is_better: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("jumper2021alphafold", "wang2025reed")
    uses: Literal["confident"] = "confident"

    def each(self, designs: Designs) -> np.ndarray:
        """(n,) mean pLDDT, 0 to 100."""
        return confidences(designs)

    def counted(self, kept: np.ndarray) -> np.ndarray:
        """Whether they are above the limit."""
        return kept > SURE
