"""Velocity loss with zero, one or several aligned layers and a curriculum: SiT, REPA and REED are settings of it.

Source: SiT arXiv:2401.08740, REPA arXiv:2410.06940, REED arXiv:2507.08980 (loss.py and train.py:363-385 @0a4527e).
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from reedbench.objectives._aligned_flow import AlignedFlow
from reedbench.objectives._aligned_flow import Alignment as Alignment
from reedbench.objectives._card import Tier


class Aligned(AlignedFlow):
    """Denoising plus alignments, each with its factor over training."""

    unaligned: ClassVar[str] = "SiT"
    tier: ClassVar[Tier] = "faithful"
    formula: ClassVar[str] = "|v(x_t, t, y) - v*|^2; v* = dx_t/dt, which is x_1 - x_0 on the linear path"
    cost: ClassVar[str] = "3F per step"
    source: ClassVar[str] = (
        "SiT arXiv:2401.08740, REPA arXiv:2410.06940 and REED arXiv:2507.08980 with their code (@947f95b, @67f7145, "
        "@0a4527e); the text of REED's paper was not at hand"
    )
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit",)
    uses: Literal["aligned"] = "aligned"

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.aligned import AlignedLearner
        from reedbench.nn.alignment import AlignedNetwork

        network = AlignedNetwork(*self.aligned(backbone, targets, generator))
        factors = self.denoise.factor(), self.align.factor()
        return AlignedLearner(network, self.flow(backbone), *factors, mean_over_encoders=self.reduce == "mean")
