"""Ancestral sampling of molecules, from noise down the levels of the schedule: EDM's. arXiv:2203.17003."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.samplers import AbstractSampler, Streams


class MoleculeAncestral(AbstractSampler):
    """Places and elements of atoms; bonds are perceived by the codec."""

    domain: ClassVar[str] = "molecule"
    guidance: ClassVar[float] = 1.0
    cites: ClassVar[tuple[str, ...]] = ("hoogeboom2022edm",)
    uses: Literal["molecule-ancestral"] = "molecule-ancestral"

    steps: int = Field(1000, ge=1, le=1000)
    """Steps from the last of the 1000 levels to the first: EDM takes every level, fewer steps leave some out. One
    network evaluation each, and one more at the end."""

    def unfit(self, objective: Any) -> str | None:
        """It follows diffusion."""
        diffusion = getattr(objective, "process", None) == "diffusion"
        return None if diffusion else f"{objective.uses} trains no diffusion of molecules; take joint-euler"

    def nfe(self, objective: Any) -> int:
        """Steps, and the last look."""
        return self.steps + 1

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`coordinates` and `types`, from `mask`."""
        from reedbench.nn.molecule_diffusion import denoised

        return denoised(network, condition["mask"], self.steps, streams)
