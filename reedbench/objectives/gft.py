"""GFT: the network reads the inverse of the guidance scale, and learns it from the plain loss.

Chen et al. 2025, arXiv:2501.15420.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives._scaled import ScaledObjective


class GuidanceFreeTraining(ScaledObjective):
    """The velocity loss of a mixture of two branches of the network, with and without label, in random proportion."""

    cites: ClassVar[tuple[str, ...]] = ("chen2025gft",)
    tier: ClassVar[Literal["faithful"]] = "faithful"
    formula: ClassVar[str] = "|b v(x_t,t,y,b) + (1-b) sg v(x_t,t,null,1) - v*|^2, b ~ U[0,1]; sampled at b = 1/s"
    cost: ClassVar[str] = "3F + F (1 - label_dropout) = 3.9F by default"
    choices: ClassVar[tuple[str, ...]] = (
        "rows without label have b = 1, and are not looked up",
        "from scratch; the authors also tune trained networks",
        "samplers may ask for guidance up to `largest`, 5 by default: b below its inverse is trained, and seldom",
    )
    uses: Literal["gft"] = "gft"

    largest: float = Field(5.0, gt=1)
    """Largest guidance that samplers may ask for; all b of U[0, 1] are trained."""

    @model_validator(mode="after")
    def _a_branch_without_label(self) -> "GuidanceFreeTraining":
        self.asks_null_label()
        return self

    def scales(self) -> tuple[float, float]:
        """Up to the largest; 1 is no guidance."""
        return 1.0, self.largest

    def read(self, scale: float) -> float:
        """b = 1 / s."""
        return 1 / scale

    def learner(self, network: Any, flow: Any) -> Any:
        """One that asks the network twice."""
        from reedbench.nn.model_guidance import GuidanceFree

        return GuidanceFree(network, flow, self.denoise.factor())
