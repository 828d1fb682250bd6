"""Plug-and-play distillation: a small guide beside a frozen network. Hsiao et al. 2024, arXiv:2406.01954."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.objectives._distilled import DistilledObjective, Weight


class GuideObjective(DistilledObjective):
    """The teacher stays as it is inside the network that is sampled; the guide learns to add what guidance would.

    What is published holds both, so that samples need no teacher. A sampler's `guidance` is the scale.
    """

    cites: ClassVar[tuple[str, ...]] = ("hsiao2024pnp",)
    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = "|v_(T+G)(x_t,t,y,s) - sg[v_T(null) + s (v_T(y) - v_T(null))]|^2, s ~ U[lo,hi] per row"
    cost: ClassVar[str] = "3F + about F/2 (backward through the upper frozen blocks) + 3G per step; once: its teacher"
    choices: ClassVar[tuple[str, ...]] = (
        "class-conditional SiT in place of a text-to-image U-Net",
        "the guide is by default two SiT blocks of a quarter of the width, with their own embeddings of t, y and s",
        "it adds to the output of every block k >= depth / 2 through linear layers that start at 0",
        "scales between 1 and 4 by default, uniform, and then no weight over time",
    )
    uses: Literal["guide"] = "guide"

    init: Literal["teacher"] = "teacher"
    """The frozen part has the teacher's weights in any case."""
    weight: Weight = "velocity"
    """Over time, as in `guided-distillation`."""
    guide_width: int = Field(0, ge=0, multiple_of=4)
    """Width of the guide's tokens, a multiple of 4; 0 is a quarter of the backbone's."""
    guide_blocks: int = Field(2, ge=1)
    """Blocks of the guide."""

    def network(self, backbone: Any) -> Any:
        """The backbone, frozen, with the guide."""
        from reedbench.nn.backbones.guided_sit import GuidedSiT

        return GuidedSiT(backbone, self.guide_width or max(4, backbone.width // 16 * 4), self.guide_blocks)

    def inherited(self, name: str) -> str:
        """The teacher is the base."""
        return f"base.{name}"
