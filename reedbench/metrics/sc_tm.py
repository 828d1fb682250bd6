"""Self-consistency: TM-score between the backbone that was asked for and the structure predicted for its design.

REED does not report it. Above 0.5 two structures most likely have the same fold: Xu and Zhang 2010,
https://doi.org/10.1093/bioinformatics/btq066.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.domains import superposition
from reedbench.metrics._designs import Designs, SummarisedMetric

CA = 1


class ScTm(SummarisedMetric):
    """TM-score over CA of the residues that count, residue to residue and by their number; a mean or median."""

    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Self-consistency TM-score"
    lower_is_better: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("zhang2004tmscore",)
    uses: Literal["sc-tm"] = "sc-tm"

    def each(self, designs: Designs) -> np.ndarray:
        """(n,) between 0 and 1."""
        pairs = designs.structures()
        return np.array([superposition.tm_score(native[:, CA], other[:, CA]) for native, other in pairs])
