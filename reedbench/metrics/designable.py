"""Designability: share of designs that are predicted to fold to the backbone that was asked for."""

from typing import ClassVar, Literal

import numpy as np

from reedbench.metrics._designs import Designs, FoldedMetric, backbone_rmsds

DESIGNABLE = 2.0  # Angstrom: the limit of REED and MultiFlow (Campbell et al. 2024, arXiv:2402.04997)


class Designable(FoldedMetric):
    """Share of samples with self-consistency RMSD below 2 Angstrom; with `best`, of chains that have such a sample."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "Designable samples"
    lower_is_better: ClassVar[bool] = True
    cites: ClassVar[tuple[str, ...]] = ("campbell2024multiflow", "wang2025reed")
    uses: Literal["designable"] = "designable"

    def each(self, designs: Designs) -> np.ndarray:
        """(n,) RMSD in Angstrom."""
        return backbone_rmsds(designs)

    def counted(self, kept: np.ndarray) -> np.ndarray:
        """Whether they are below the limit."""
        return kept < DESIGNABLE
