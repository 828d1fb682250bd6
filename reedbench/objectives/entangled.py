"""REG: representation entanglement, an image generated together with its class token. Source: arXiv:2507.01467."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.objectives import Place
from reedbench.objectives._aligned_flow import AlignedFlow

TOKEN_WEIGHT = 0.03


class Entangled(AlignedFlow):
    """Denoising of image and class token together, and alignments over the token and the patches."""

    cites: ClassVar[tuple[str, ...]] = ("wu2025reg",)
    joint: ClassVar[bool] = True
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = (
        "|v - (x_1 - x_0)|^2 + token_weight |v_c - (c_1 - c_0)|^2 + L_align over [token; patches], "
        "c_t = (1-t) c_0 + t c_1"
    )
    cost: ClassVar[str] = "3F (N+1)/N + E, or E once where representations are kept; sampling F (N+1)/N per evaluation"
    choices: ClassVar[tuple[str, ...]] = (
        "whether c_1 is standardised per dimension is a setting of its encoder; DINOv2's is layer-normed as it is",
        "the token's head reads the final layer's normed and modulated token",
        "guidance steers image and token with one scale",
        "the token's noise and its noise in steps of an SDE have streams of their own",
    )
    uses: Literal["entangled"] = "entangled"

    token: str = Field(examples=["token"])
    """Name of the encoder whose vector is generated along; it must have as many dimensions as aligned tokens have."""
    dim: int = Field(ge=1, examples=[6])
    """Dimensions of that vector: 768 for DINOv2-B. Networks are built by it where no representations are at hand."""
    token_weight: float = Field(TOKEN_WEIGHT, ge=0)
    """Coefficient of its velocity's error; 0 leaves it to the alignments."""

    @model_validator(mode="after")
    def _tokens_are_no_grid(self) -> "Entangled":
        if any(alignment.projector == "conv" for alignment in self.alignments):
            raise ValueError("projector: conv is for the patches of a grid, and the token stands before them: take mlp")
        return self

    def encoders(self) -> tuple[str, ...]:
        """Encoders in order of first use."""
        return tuple(dict.fromkeys((self.token, *super().encoders())))

    def reads(self) -> Iterator[tuple[Place, str, tuple[str, ...]]]:
        """The token's, and those of patches."""
        yield ("token",), self.token, ("vector",)
        for i, alignment in enumerate(self.alignments):
            yield ("alignments", i, "encoder"), alignment.encoder, ("tokens",)

    def companions(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """The token."""
        return {"token": (self.dim,)}

    def network(self, backbone: Any) -> Any:
        """The backbone with one more token."""
        from reedbench.nn.backbones.joint_sit import JointSiT

        return JointSiT(backbone, self.dim)

    def flow(self, backbone: Any) -> Any:
        """The draws and errors of both parts."""
        from reedbench.nn.joint import JointFlow

        return JointFlow(self.path, self.times, self.label_dropout, backbone.null_label, self.companions(()))

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name.

        Raises:
            ConfigError: the token or aligned patches have other dimensions.
        """
        from reedbench.nn.alignment import AlignedNetwork
        from reedbench.nn.entangled import EntangledLearner

        for name in self.encoders():
            if targets[name][-1] != self.dim:
                what = "" if name == self.token else "; the token stands before the patches, so both need the same"
                raise ConfigError(
                    f"encoder '{name}' has {targets[name][-1]} dimensions, and the method says dim: {self.dim}{what}"
                )
        network = AlignedNetwork(*self.aligned(backbone, targets, generator))
        return EntangledLearner(
            network,
            self.flow(backbone),
            self.denoise.factor(),
            self.align.factor(),
            self.token,
            self.token_weight,
            mean_over_encoders=self.reduce == "mean",
        )
