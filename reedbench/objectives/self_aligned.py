"""SRA: alignment to the network's own average at a cleaner time, without an encoder. arXiv:2505.02831."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective
from reedbench.objectives._schedule import Schedule


class SelfAligned(FlowObjective):
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

    student_depth: int = Field(ge=1, examples=[1])
    """Block that is pulled, 1-based."""
    teacher_depth: int = Field(ge=1, examples=[2])
    """Block of the average that it is pulled to."""
    weight: float = Field(0.5, gt=0)
    """Coefficient of the distance."""
    align: Schedule = Schedule()
    """Factor of the distance; the paper's runs take `exponential-decay`."""
    distance: Literal["cosine", "smooth-l1"] = "cosine"
    """`cosine` is one minus it, as in the newer code; `smooth-l1` is the paper's, with weight 0.2."""
    axis: Literal["per-token", "reference"] = "per-token"
    """Over what cosines are taken: the channels of every token, or, as the release does by accident, the tokens of
    every channel."""
    beta: float = Field(0.05, gt=0)
    """Of smooth-l1: below it differences count as squares."""
    spread: float = Field(0.2, gt=0, le=1)
    """How much later the teacher's time is at most."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "SelfAligned":
        idle = {"cosine": ("beta",), "smooth-l1": ("axis",)}
        self.refuse(*idle[self.distance], where=f"on distance: {self.distance}")
        if self.student_depth > self.teacher_depth:
            one, other = self.student_depth, self.teacher_depth
            raise ValueError(f"student {one} lies behind teacher {other}: the deeper one teaches")
        return self

    @property
    def term(self) -> str:
        """Name of its loss term."""
        return f"self@{self.student_depth}"

    def depths(self) -> tuple[int, ...]:
        """Student and teacher."""
        return self.student_depth, self.teacher_depth

    def further(self) -> Mapping[str, Any]:
        """The distance."""
        return {self.term: self.align.factor().times(self.weight)}

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.alignment import Projector
        from reedbench.nn.self_aligned import HeadedNetwork

        network = self.network(backbone)
        network.initialise(generator)
        head = Projector(backbone.width, 2 * backbone.width, backbone.width, layers=2)
        head.initialise(lambda name: generator(f"projectors.{self.term}.{name}"))
        return self.learner(HeadedNetwork(network, self.depths(), head), self.flow(backbone))

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up the average."""
        from reedbench.nn import self_aligned as distances
        from reedbench.nn.self_aligned import SelfAlignedLearner

        cosines = {"per-token": distances.per_token, "reference": distances.per_channel}
        chosen = cosines[self.axis] if self.distance == "cosine" else partial(distances.smooth_l1, beta=self.beta)
        settings = {"term": self.term, "factor": self.factors()[self.term], "distance": chosen, "spread": self.spread}
        return SelfAlignedLearner(network, flow, self.denoise.factor(), **settings)
