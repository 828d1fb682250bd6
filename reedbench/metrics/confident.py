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
    uses: Literal["confident"] = "confident"

    def value(self, designs: Designs) -> float:
        """A share between 0 and 1."""
        return float((self.kept(designs, confidences(designs), np.max) > SURE).mean())
