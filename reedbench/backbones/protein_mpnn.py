"""ProteinMPNN as a denoiser of sequences. Dauparas et al. 2022, https://doi.org/10.1126/science.add2187."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.backbones import AbstractBackbone


class ProteinMPNNBackbone(AbstractBackbone):
    """Message passing over a protein backbone whose decoder sees the whole noisy sequence, as in REED."""

    domain: ClassVar[str] = "protein"
    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "wang2025reed")
    uses: Literal["protein-mpnn"] = "protein-mpnn"

    width: int = Field(128, ge=1)
    """Hidden width of nodes and edges."""
    encoder_layers: int = Field(3, ge=1)
    """Layers that see the structure alone."""
    decoder_layers: int = Field(3, ge=1)
    """Layers that see the noisy sequence too; an alignment can tap each."""
    neighbours: int = Field(30, ge=1)
    """Nearest residues that send messages to each residue, itself included."""
    edge_update: bool = True
    """The decoder's edges change from layer to layer."""
    learnable_node: bool = True
    """Nodes start as a learnt vector instead of 0."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Probability of dropout in training."""
    padding: Literal["masked", "reference"] = "masked"
    """`masked`: batches do not change a protein; `reference`: padding joins the graph at the origin, as in REED."""

    @model_validator(mode="after")
    def _layers_that_follow(self) -> "ProteinMPNNBackbone":
        if self.decoder_layers == 1:
            self.refuse("edge_update", where="on decoder_layers: 1")
        return self

    def blocks(self) -> int:
        """Number of decoder layers."""
        return self.decoder_layers

    def name(self) -> str:
        """Width, layers of encoder and decoder, and neighbours: `MPNN-128x3+3/k30`."""
        return f"MPNN-{self.width}x{self.encoder_layers}+{self.decoder_layers}/k{self.neighbours}"

    def build(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Any:
        """A `nn.backbones.mpnn.ProteinMPNN`; proteins have no fixed shape, and there are no classes."""
        from reedbench.nn.backbones.mpnn import ProteinMPNN

        return ProteinMPNN(
            width=self.width,
            encoder_layers=self.encoder_layers,
            decoder_layers=self.decoder_layers,
            neighbours=self.neighbours,
            edge_update=self.edge_update,
            learnable_node=self.learnable_node,
            padding=self.padding,
            dropout=self.dropout,
        )
