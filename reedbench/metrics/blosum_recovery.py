"""Recovery up to likely substitutions: a letter is right if it replaces the native one with a positive BLOSUM62 score.

Henikoff and Henikoff 1992, https://doi.org/10.1073/pnas.89.22.10915; the matrix is biotite's.
"""

from functools import cache
from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, PooledMetric, SequenceMetric
from reedbench.nn.residues import ALPHABET


class BlosumRecovery(PooledMetric, SequenceMetric):
    """Share of residues whose designed letter scores above 0 with the native one, over all residues at once."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Recovery up to likely substitutions"
    cites: ClassVar[tuple[str, ...]] = ("henikoff1992blosum",)
    uses: Literal["blosum-recovery"] = "blosum-recovery"

    def sums(self, designs: Designs) -> tuple[np.ndarray, np.ndarray]:
        """Residues that are right or alike, and all that count, of each sample; the share is never below recovery."""
        right = [similar()[designed, native] for designed, native in designs.counted(self.of)]
        return np.array([row.sum() for row in right]), np.array([len(row) for row in right])


@cache
def similar() -> np.ndarray:
    """(21, 21) bool: which letters replace each other with a positive score; X replaces none, not even itself."""
    from biotite.sequence.align import SubstitutionMatrix

    matrix = SubstitutionMatrix.std_protein_matrix()  # BLOSUM62
    return np.array([[matrix.get_score(one, other) > 0 for other in ALPHABET] for one in ALPHABET])
