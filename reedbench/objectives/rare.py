"""RARE: iREPA's projector, whitened targets, weights of tokens, and an alignment that lets go when it stops gaining.

Source: RARE (cited in August 2026), as far as its text says; no code is known.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective, Place
from reedbench.objectives._aligned_flow import Alignment, aligned_parts


class Rare(FlowObjective):
    """The velocity loss and one alignment of tokens, each weighted by how badly it is aligned.

    Weights are eta over its mean in the image, cut to [1 / clip, clip] and brought back to mean 1, with
    eta = (1 - cos) / 2 without gradient. Once the fast average of eta no longer beats the slow one by the margin, the
    coefficient goes to 0 as half a cosine wave; then nothing of the alignment is computed or read. Targets are to be
    whitened: name an encoder `whitened` of the one whose last layer is meant (128 dimensions of DINOv2-B).
    """

    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "|v - v*|^2 - c(step) mean_tokens w cos(P(h), z), w = clip(eta / mean eta) renormalised"
    cost: ClassVar[str] = "3F + E until the release has ended, 3F after it"
    choices: ClassVar[tuple[str, ...]] = (
        "whitening by the moments of tokens of the training split, as an encoder of its own",
        "averages of eta begin at its first value, and the fast one must have beaten the slow one before it can stop",
        "the mean of eta that weights are relative to is that of each image",
    )
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "yu2025repa", "singh2025irepa")
    uses: Literal["rare"] = "rare"

    encoder: str = Field(examples=["patches"])
    """Name of one of the benchmark's encoders, of tokens; one that is `whitened`."""
    depth: int = Field(ge=1, examples=[1])
    """Block whose output is aligned, 1-based."""
    weight: float = Field(1.0, gt=0)
    """Coefficient of the alignment before its release."""
    projector: Literal["conv", "mlp"] = "conv"
    """From hidden states to the representation: one 3x3 convolution over the grid, as in iREPA, or REPA's MLP."""
    clip: float = Field(4.0, ge=1)
    """Weights of tokens lie within 1 / clip and clip before they are brought to mean 1; 1 weights all alike."""
    fast: float = Field(0.999, ge=0, lt=1)
    """Decay of the fast average of eta, per step."""
    slow: float = Field(0.99995, ge=0, lt=1)
    """Decay of the slow average; larger than that of the fast one."""
    margin: float = Field(0.02, gt=0, lt=1)
    """Share by which the fast average must be smaller than the slow one for the alignment to go on."""
    ramp: int = Field(50_000, ge=3)
    """Steps of the release; an eighth of the length of the paper's run."""
    latest: int = Field(250_000, ge=0)
    """Step at which the release begins at the latest; scale it, `ramp` and the decays with the length of a run."""

    @model_validator(mode="after")
    def _a_slow_and_a_fast_average(self) -> "Rare":
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} must be smaller than slow {self.slow}: both are decays per step")
        return self

    def misfit(self, train: Any, last: int) -> str | None:
        """The release must be able to begin."""
        if self.latest >= last:
            return f"latest: {self.latest} is no step of a run of {last}: scale it, ramp and the decays with the length"
        return super().misfit(train, last)

    def encoders(self) -> tuple[str, ...]:
        """The encoder."""
        return (self.encoder,)

    def depths(self) -> tuple[int, ...]:
        """The block."""
        return (self.depth,)

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """An encoder of tokens."""
        yield ("encoder",), self.encoder, ("tokens",)

    def taps(self) -> Iterator[tuple[Place, int]]:
        """The block."""
        yield ("depth",), self.depth

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.alignment import AlignedNetwork
        from reedbench.nn.rare import RareLearner, Release

        one = Alignment(encoder=self.encoder, depth=self.depth, weight=self.weight, projector=self.projector)
        network = AlignedNetwork(*aligned_parts(self.network(backbone), backbone, (one,), targets, generator))
        release = Release(self.fast, self.slow, self.margin, self.ramp, self.latest)
        return RareLearner(network, self.flow(backbone), self.denoise.factor(), release, self.clip)
