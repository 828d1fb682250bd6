"""LayerSync: shallow blocks are pulled towards deeper ones of the same forward pass, without an encoder.

Source: arXiv:2510.12581, and its released code.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from reedbench.objectives import FlowObjective
from reedbench.objectives._regularised import Synchronising


class LayerSync(FlowObjective, Synchronising):
    """The velocity loss minus the mean cosine between the tokens of two blocks, for one or several pairs of blocks.

    The deeper block of a pair does not feel it: with its gradient both collapse together. There is no head. The
    published baseline is SiT sampled by an ODE.
    """

    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "|v - v*|^2 - weight sum_pairs mean_tokens cos(h_k, sg h_l), k < l"
    cost: ClassVar[str] = "3F"
    choices: ClassVar[tuple[str, ...]] = (
        "several pairs are summed (the released loop keeps the last)",
        "pairs of other sizes than XL have its ratio, k = round(2L/7), l = round(4L/7)",
    )
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "haghighi2025layersync")
    uses: Literal["layersync"] = "layersync"

    def further(self) -> Mapping[str, Any]:
        """A term per pair."""
        return dict.fromkeys(self.named(), self.weight)

    def extra(self, hidden: Any, batch: Any) -> Mapping[str, Any]:
        """Negative cosines."""
        from reedbench.nn.alignment import cosine_alignment

        return {name: cosine_alignment(*states) for name, states in self.pulled(hidden).items()}

    def learner(self, network: Any, flow: Any) -> Any:
        """Its terms are cosines."""
        learner = super().learner(network, flow)
        learner.kinds = dict.fromkeys(self.named(), "cosine")
        return learner
