"""Sequence recovery: share of residues whose designed letter is the native one, over all residues at once.

As REED reports it (protein/fmif/train_fmif.py:472-483 @0a4527e): long chains weigh more than short ones. REED takes
`of: argmax`, the likeliest letters under the last prediction, which need not be what was sampled.
"""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, PooledMetric, SequenceMetric


class Recovery(PooledMetric, SequenceMetric):
    """Sequence recovery over residues; an X in a design is wrong."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Sequence recovery"
    cites: ClassVar[tuple[str, ...]] = ("wang2025reed",)
    uses: Literal["recovery"] = "recovery"

    @property
    def through(self) -> str:
        """All residues, where each has a vote, and which sequence."""
        return f"over residues, {super().through}" if self.vote == "residue" else super().through

    def sums(self, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
        """Residues that are right, and all that count, of each sample; their ratio is a share between 0 and 1."""
        right = [designed == native for designed, native in designs.counted(self.of)]
        return np.array([row.sum() for row in right]), np.array([len(row) for row in right])
