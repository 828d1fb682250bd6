"""Masking diffusion of protein sequences given a backbone, with zero, one or several aligned layers and a curriculum.

Source: REED, arXiv:2507.08980; protein/fmif/{model_utils,train_fmif}.py @0a4527e.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.errors import ConfigError
from reedbench.objectives._alignments import AbstractAlignment, AligningObjective
from reedbench.objectives._card import Tier
from reedbench.objectives._masking import Masking


class ResidueAlignment(AbstractAlignment):
    """One hidden layer pulled towards one representation of residues, or of pairs of them."""

    site: Literal["node", "edge", "structure"] = "node"
    """`node` and `edge`: after a decoder layer; `structure`: after the encoder, which does not see the sequence."""
    depth: int = Field(1, ge=1)
    """Decoder layer, 1-based; refused at `structure`, where it has no effect."""
    projector: Literal["mlp"] = "mlp"
    """From hidden states to the representation."""
    norm: Literal["none", "batch", "reference", "spatial"] = "batch"
    """How targets are standardised: over the entries of the batch that count (`batch`; `reference` takes REED's
    standard deviation, to which the others add the squared mean), over the residues of each chain (`spatial`), or not
    at all (`none`)."""
    masked_only: bool = False
    """Only residues that are masked count."""

    @property
    def takes(self) -> tuple[str, ...]:
        """Kinds of encoders that fit its site."""
        return ("pairs",) if self.site == "edge" else ("residues",)

    @property
    def term(self) -> str:
        """Name of its loss term."""
        return f"{self.encoder}@{self.site}" + ("" if self.site == "structure" else str(self.depth))

    @model_validator(mode="after")
    def _fits_its_site(self) -> "ResidueAlignment":
        if self.site == "structure":
            self.refuse("depth", where="at site: structure")
        if self.site == "edge" and self.norm == "spatial":
            raise ValueError("norm: spatial is for residues, and site: edge has pairs of them")
        return self

    def tap(self) -> Any:
        """As the loss sees it."""
        from reedbench.nn.masked_diffusion import ResidueTap

        return ResidueTap(**self.common(), place=(self.site, self.depth), masked_only=self.masked_only)


class MaskedDiffusion(Masking, AligningObjective):
    """Denoising of masked residues plus alignments, each with its factor over training."""

    unaligned: ClassVar[str] = "discrete diffusion"
    tier: ClassVar[Tier] = "faithful"
    formula: ClassVar[str] = (
        "- sum over residues of log p(s_1 | s_t, backbone) / divisor; labels are smoothed, a residue of s_t is masked "
        "with probability 1 - t"
    )
    cost: ClassVar[str] = "3F per step"
    source: ClassVar[str] = (
        "REED arXiv:2507.08980, code protein/fmif/{model_utils,train_fmif}.py @0a4527e, after MultiFlow "
        "arXiv:2402.04997 and ProteinMPNN (training/ @8907e66); the text of REED's paper was not at hand"
    )
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "campbell2024multiflow", "wang2025reed")
    uses: Literal["masked-diffusion"] = "masked-diffusion"

    alignments: tuple[ResidueAlignment, ...] = ()
    """None for plain discrete diffusion; REED has three: a node, an edge and the structure."""

    def depths(self) -> tuple[int, ...]:
        """Tapped decoder layers."""
        return tuple(alignment.depth for alignment in self.alignments if alignment.site != "structure")

    def build(self, backbone: Any, targets: Mapping[str, tuple[int, ...]], generator: Callable[[str], Any]) -> Any:
        """The learner, with every parameter initialised from the stream of its published name."""
        from reedbench.nn.alignment import AlignedNetwork
        from reedbench.nn.masked_diffusion import DesignLearner

        for alignment in self.alignments:
            _check_kind(alignment, targets[alignment.encoder])
        backbone.initialise(generator)
        backbone.tapped([(a.site, a.depth) for a in self.alignments if not a.probe])
        projectors = [_projector(a, backbone.width, targets[a.encoder], generator) for a in self.alignments]
        network = AlignedNetwork(backbone, projectors, [alignment.tap() for alignment in self.alignments])
        return DesignLearner(network, self.denoising(), self.denoise.factor(), self.align.factor())


def _check_kind(alignment: ResidueAlignment, shape: tuple[int, ...]) -> None:
    wanted = 3 if alignment.site == "edge" else 2
    if len(shape) != wanted or shape[0] != -1:
        what = "pairs of residues" if wanted == 3 else "residues"
        raise ConfigError(
            f"alignment {alignment.term}: its site needs a representation of {what}, and encoder "
            f"'{alignment.encoder}' gives another kind (shape {list(shape)})"
        )


def _projector(alignment: ResidueAlignment, width: int, shape: tuple[int, ...], generator: Callable[[str], Any]) -> Any:
    hidden = 2 * width if alignment.site == "edge" else width  # edges are twice as wide
    return alignment.network(hidden, shape, generator, layers=2, law="torch")
