"""Dispersive loss on proteins: chains of a batch are pushed apart in the mean of their residues.

Source: arXiv:2506.09027 (images); masking diffusion of REED, arXiv:2507.08980.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from reedbench.objectives._regularised import DISPERSED, Dispersing
from reedbench.objectives._regularised_design import RegularisedDesign


class ProteinDispersive(RegularisedDesign, Dispersing):
    """Masking diffusion plus a contrastive loss without positive pairs, on the mean over the residues of a chain.

    Padded and unresolved residues are in no mean, a chain without a resolved residue is in no pair. With variant `l2`
    and a group the term has a floor, -log(group), and training says where it rests there.
    """

    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = "CE + weight log mean_ij exp(-|h_i - h_j|^2 / (size temperature)), h = mean over residues"
    cost: ClassVar[str] = "3F + products of the chains of a group (group^2)"
    choices: ClassVar[tuple[str, ...]] = (
        "a chain is the mean of its resolved residues",
        "group 0 compares all chains of a batch, whatever their number",
    )
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed", "wang2025dispersive")
    uses: Literal["protein-dispersive"] = "protein-dispersive"

    group: int = Field(0, ge=0)
    """Consecutive chains of a batch that are compared with each other, which needs train.batch; 0 compares all, which
    needs one process without micro-batches."""

    @field_validator("group")
    @classmethod
    def _pairs(cls, group: int) -> int:
        if group == 1:
            raise ValueError("group: 1 has no pairs: give 2 or more, or 0 for all chains of a batch")
        return group

    @property
    def compared(self) -> int:
        """The group."""
        return self.group

    def rows_per_group(self) -> int:
        """The group."""
        return self.group

    def further(self) -> Mapping[str, Any]:
        """One term."""
        from reedbench.nn.regularised_design import Further, chains
        from reedbench.nn.regularisers import pooled
        from reedbench.nn.schedules import Factor

        dispersion = self.dispersion()
        return {
            DISPERSED: Further(
                Factor().times(self.weight),
                chains,
                lambda hidden, batch: dispersion(pooled(hidden[0].float(), batch["mask"]), chains(batch)),
            )
        }

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """Says where the term rests at its floor."""
        return self.floored(super().build(backbone, targets, generator))
