"""Dispersive loss: hidden states of different images are pushed apart, without an encoder.

Source: arXiv:2506.09027, and the official PyTorch code (copy whaletech-ai/Disperse-Loss).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.objectives import FlowObjective
from reedbench.objectives._regularised import DISPERSED, Dispersing


class Dispersive(FlowObjective, Dispersing):
    """The velocity loss plus a contrastive loss without positive pairs, on all tokens of one block.

    Both sides of a pair feel it, and it has no head. With variant `l2` the term has a floor, -log(group), where only
    the pairs (i, i) are left: hidden norms grow and quality collapses, and training says so. The published baseline is
    sampled by an ODE.
    """

    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "|v - v*|^2 + weight log mean_ij exp(-|h_i - h_j|^2 / (size temperature)), all i, j"
    cost: ClassVar[str] = "3F + products of the rows of a group (group^2)"
    choices: ClassVar[tuple[str, ...]] = (
        "pairs lie in fixed groups of consecutive rows, in place of the batch of a GPU",
        "the covariance variant takes token means",
        "the margin of the hinge variant is to be given",
    )
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "wang2025dispersive")
    uses: Literal["dispersive"] = "dispersive"

    group: int = Field(16, ge=2)
    """Consecutive rows of a batch that are compared with each other: the local batch of a GPU in the paper (16) and in
    the official PyTorch code (32)."""

    @property
    def compared(self) -> int:
        """The group."""
        return self.group

    def further(self) -> Mapping[str, Any]:
        """One term."""
        return {DISPERSED: self.weight}

    def rows_per_group(self) -> int:
        """The group."""
        return self.group

    def extra(self, hidden: Any, batch: Any) -> Mapping[str, Any]:
        """Every row has the value of its group."""
        return {DISPERSED: self.dispersion()(hidden[0])}

    def learner(self, network: Any, flow: Any) -> Any:
        """Says where the term rests at its floor."""
        return self.floored(super().learner(network, flow))
