"""SRA on proteins: alignment to the network's own average that sees more of the sequence, without an encoder.

Source: arXiv:2505.02831 (images); masking diffusion of REED, arXiv:2507.08980.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from reedbench.objectives._regularised_design import RegularisedDesign
from reedbench.objectives._self_aligned import SelfAligning


class ProteinSelfAligned(RegularisedDesign, SelfAligning):
    """Masking diffusion, and an early decoder layer that is pulled towards a later one of the weight average.

    The average sees the chain at a later time: a residue that the student sees is never masked there, and others are
    shown. Unresolved residues, which no time shows, do not count.
    """

    tier: ClassVar[str] = "adaptation"
    formula: ClassVar[str] = (
        "CE + w mean_residues 1 - cos(head(h_m(s_t)), sg h_ema,n(s_t+)), t+ = min(t + spread u, 1), u ~ U[0,1); "
        "s_t+ shows what s_t shows, and more"
    )
    cost: ClassVar[str] = "3F + the average's pass up to decoder layer n while the term counts, its encoder included"
    choices: ClassVar[tuple[str, ...]] = (
        "a later time is one at which fewer residues are masked, by the uniform numbers of the student's time",
        "nodes after decoder layers, mean over all resolved residues, masked or not",
        "cosine per residue; spread 0.2, weight 0.5 by default, the head as on images, where the other loss is a mean",
        "both see the same moved coordinates and neighbours; the average has no dropout",
    )
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed", "jiang2025sra")
    uses: Literal["protein-self-aligned"] = "protein-self-aligned"

    def further(self) -> Mapping[str, Any]:
        """The distance."""
        from reedbench.nn.regularised_design import Further, residues
        from reedbench.nn.self_aligned import TEACHER
        from reedbench.nn.self_aligned_design import apart, smoothly

        distance = apart if self.distance == "cosine" else partial(smoothly, beta=self.beta)
        return {self.term: Further(self.pull(), residues, lambda hidden, batch: distance(hidden[0], batch[TEACHER]))}

    def handing_out(self, backbone: Any, places: list[tuple[str, int]], generator: Callable[[str], Any]) -> Any:
        """With the student's head, whose first weights are by torch's law, as of REED's projectors."""
        from reedbench.nn.self_aligned import HeadedNetwork

        return HeadedNetwork(backbone, places, self.head(backbone.width, generator, "torch"))

    def learner(self, network: Any) -> Any:
        """One that looks up the average."""
        from reedbench.nn.self_aligned_design import SelfAlignedDesignLearner

        further, factor = self.further(), self.denoise.factor()
        return SelfAlignedDesignLearner(network, self.denoising(), factor, further, self.spread)
