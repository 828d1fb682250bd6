"""Velocity loss with zero, one or several aligned layers and a curriculum: SiT, REPA and REED are settings of it.

Source: SiT arXiv:2401.08740, REPA arXiv:2410.06940, REED arXiv:2507.08980 (loss.py and train.py:363-385 @0a4527e).
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.constants import ALIGNMENT_WEIGHT, PROJECTOR_WIDTH
from reedbench.core.errors import ConfigError
from reedbench.objectives import FlowObjective
from reedbench.objectives._alignments import AbstractAlignment, AligningObjective
from reedbench.objectives._card import Tier


class Alignment(AbstractAlignment):
    """One block of tokens pulled towards one representation."""

    depth: int = Field(ge=1)
    """Block whose output is aligned, 1-based."""
    weight: float = Field(ALIGNMENT_WEIGHT, ge=0)
    """Coefficient of the term; 0 switches it off: it is not computed (REED's code turns 0 into 1)."""
    time_weight: Literal["constant", "linear", "cosine", "sigmoid", "loglinear", "cutoff"] = "constant"
    """Weight over time t (0 noise, 1 data); all but `constant` and `cutoff` favour clean samples."""
    between: tuple[float, float] = (0.0, 1.0)
    """Times where `cutoff` is 1, both ends included, in our time; for `cutoff` only."""
    time_weighting: Literal["per-sample", "reference"] = "per-sample"
    """`reference` multiplies by the batch mean of the weight, as REED's code does (quirk Q1)."""
    projector_width: int = Field(PROJECTOR_WIDTH, ge=1)
    """Hidden width of the projector `mlp`."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of encoders that fit."""
        return ("tokens", "vector")

    @property
    def term(self) -> str:
        """Name of its loss term."""
        return f"{self.encoder}@{self.depth}"

    @model_validator(mode="after")
    def _weight_over_time(self) -> "Alignment":
        low, high = self.between
        if not 0.0 <= low < high <= 1.0:
            raise ValueError(f"between [{low}, {high}] must satisfy 0 <= low < high <= 1")
        if self.time_weight != "cutoff":
            self.refuse("between", where=f"on time_weight: {self.time_weight}")
        if self.time_weight == "constant":
            self.refuse("time_weighting", where="on time_weight: constant")
        return self

    def tap(self, shape: tuple[int, ...]) -> Any:
        """As the loss sees it."""
        from reedbench.nn.aligned import TimedTap
        from reedbench.nn.alignment import TIME_WEIGHTS, cutoff

        low, high = self.between
        weights = {**TIME_WEIGHTS, "cutoff": lambda t: cutoff(t, low, high)}
        return TimedTap(
            **self.common(),
            place=self.depth,
            pooled=len(shape) == 1,
            time_weight=weights[self.time_weight],
            mode=self.time_weighting,
        )


class Aligned(FlowObjective, AligningObjective):
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

    alignments: tuple[Alignment, ...] = ()
    """None for SiT, one for REPA, several for REED."""
    reduce: Literal["sum", "mean"] = "sum"
    """Over alignments: REED sums, REPA averages."""

    @model_validator(mode="after")
    def _a_mean_of_several(self) -> "Aligned":
        if len(self.alignments) < 2:
            cure = "take it out; where it comes from `base`, say reduce: sum"
            self.refuse("reduce", where="on fewer than two alignments", cure=cure)
        return self

    def depths(self) -> tuple[int, ...]:
        """Tapped blocks."""
        return tuple(alignment.depth for alignment in self.alignments)

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.aligned import AlignedLearner
        from reedbench.nn.alignment import AlignedNetwork

        shapes = {alignment: targets[alignment.encoder] for alignment in self.alignments}
        for alignment, shape in shapes.items():
            _check_tokens(alignment.encoder, backbone.tokens, shape)
        trained = self.network(backbone)
        trained.initialise(generator)
        projectors = [a.network(backbone.width, s, generator, layers=3, law="xavier") for a, s in shapes.items()]
        network = AlignedNetwork(trained, projectors, [a.tap(s) for a, s in shapes.items()])
        factors = self.denoise.factor(), self.align.factor()
        return AlignedLearner(network, self.flow(backbone), *factors, mean_over_encoders=self.reduce == "mean")


def _check_tokens(encoder: str, tokens: int, shape: tuple[int, ...]) -> None:
    if len(shape) == 2 and shape[0] != tokens:
        raise ConfigError(
            f"alignment of encoder '{encoder}': it has {shape[0]} tokens per datum, the backbone has {tokens}: choose "
            "a patch size that gives as many"
        )
