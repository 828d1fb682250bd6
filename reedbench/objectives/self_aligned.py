"""SRA: alignment to the network's own average at a cleaner time, without an encoder. arXiv:2505.02831."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from reedbench.objectives import FlowObjective
from reedbench.objectives._self_aligned import SelfAligning


class SelfAligned(SelfAligning, FlowObjective):
    """The velocity loss, and an early block that is pulled towards a later one of the weight average."""

    cites: ClassVar[tuple[str, ...]] = ("jiang2025sra",)
    tier: ClassVar[Literal["faithful"]] = "faithful"
    formula: ClassVar[str] = (
        "|v - v*|^2 + w mean over tokens of 1 - cos(head(h_m(x_t,t,y)), sg h_ema,n(x_t+,t+,y)), "
        "t+ = min(t + spread u, 1), u ~ U[0,1)"
    )
    cost: ClassVar[str] = "3F + F n/L while the term counts: the average stops at block n of L (the release: 4F)"
    choices: ClassVar[tuple[str, ...]] = (
        "cosine per token; the release's axis, which is the tokens', is selectable",
        "the average is evaluated up to its tapped block only",
    )
    uses: Literal["self-aligned"] = "self-aligned"

    axis: Literal["per-token", "reference"] = "per-token"
    """Over what cosines are taken: the channels of every token, or, as the release does by accident, the tokens of
    every channel."""

    @model_validator(mode="after")
    def _axis_of_a_cosine(self) -> "SelfAligned":
        if self.distance != "cosine":
            self.refuse("axis", where=f"on distance: {self.distance}")
        return self

    def further(self) -> Mapping[str, Any]:
        """The distance."""
        return {self.term: self.pull()}

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.self_aligned import HeadedNetwork

        network = self.network(backbone)
        network.initialise(generator)
        head = self.head(backbone.width, generator, "xavier")
        return self.learner(HeadedNetwork(network, self.depths(), head), self.flow(backbone))

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the average."""
        from reedbench.nn import self_aligned as distances
        from reedbench.nn.self_aligned import SelfAlignedLearner

        cosines = {"per-token": distances.per_token, "reference": distances.per_channel}
        chosen = cosines[self.axis] if self.distance == "cosine" else partial(distances.smooth_l1, beta=self.beta)
        settings = {"term": self.term, "factor": self.factors()[self.term], "distance": chosen, "spread": self.spread}
        return SelfAlignedLearner(network, flow, self.denoise.factor(), **settings)
