"""SADM: training against a discriminator of structures, the relations between samples of a batch.

Source: arXiv:2402.17563. Its text was not to be had whole: distance, encoder, gate and rates are choices of ours.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives import FlowObjective
from reedbench.objectives._schedule import Schedule


class Structural(FlowObjective):
    """Denoising, and the distance between pairwise structures of data and of predicted data."""

    cites: ClassVar[tuple[str, ...]] = ("yang2024sadm",)
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = (
        "|v - (x_1 - x_0)|^2 + weight ramp(step) mean over i != j of 1{t_i, t_j > after} "
        "(A(x_1) - A(x_t + (1-t) v))_ij^2, A cosines of Psi; Psi ascends"
    )
    cost: ClassVar[str] = "3F + about 10 Psi, three strided convolutions; sampling as SiT"
    choices: ClassVar[tuple[str, ...]] = (
        "the distance: squared differences of cosines within groups of rows, 32 by default",
        "Psi: three convolutions of stride 2 with exact spectral norm and SiLU, mean pool, 64 dimensions by default",
        "Psi's biases start at 0: otherwise all cosines do near 1",
        "the weight .01 by default, also that of Psi's gradient; a linear ramp over 12.5 % of training is to be said",
        "rows count at t > .3 by default, both of a pair, for both players",
        "Psi learns by a reversed gradient with AdamW of the run and a rate of its own, clipped by itself",
    )
    uses: Literal["structural"] = "structural"

    weight: float = Field(0.01, ge=0)
    """Coefficient of the distance."""
    ramp: Schedule = Schedule()
    """Factor of the distance over training: {shape: linear-ramp, length: 12.5 % of the steps}."""
    group: int = Field(32, ge=2)
    """Consecutive rows of the global batch whose structure is compared."""
    after: float = Field(0.3, ge=0, lt=1)
    """Rows count at times t beyond this."""
    psi: Literal["adversarial", "frozen"] = "adversarial"
    """The encoder: trained against the denoiser, or left as it was initialised."""
    psi_rate: float = Field(1.0, gt=0)
    """Its learning rate in units of the run's."""
    psi_dim: int = Field(64, ge=1)
    """Its dimensions."""

    @model_validator(mode="after")
    def _a_second_player(self) -> "Structural":
        if not self.weight:
            raise ValueError("weight: 0 leaves the plain velocity loss: say uses: aligned, without alignments")
        if self.psi == "frozen":
            self.refuse("psi_rate", where="on psi: frozen")
        return self

    def rows_per_group(self) -> int:
        """The group."""
        return self.group

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.structure import STRUCTURE, StructuralLearner, StructuralNetwork, StructureEncoder

        network = self.network(backbone)
        network.initialise(generator)
        psi = StructureEncoder(backbone.channels, self.psi_dim)
        psi.initialise(lambda name: generator(f"projectors.{STRUCTURE}.{name}"))
        psi.requires_grad_(self.psi == "adversarial")
        return StructuralLearner(
            StructuralNetwork(network, psi),
            self.flow(backbone),
            self.denoise.factor(),
            self.ramp.factor().times(self.weight),
            self.group,
            self.after,
            self.psi_rate,
        )
