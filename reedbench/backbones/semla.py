"""Semla as a denoiser of molecules. Irwin et al. 2024, https://arxiv.org/abs/2406.07266."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.backbones import AbstractBackbone


class SemlaBackbone(AbstractBackbone):
    """Message passing between all atoms, with many sets of coordinates; of SemlaFlow's size unless said otherwise."""

    domain: ClassVar[str] = "molecule"
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow",)
    uses: Literal["semla"] = "semla"

    width: int = Field(384, ge=1)
    """Width of an atom's features; a multiple of the number of heads."""
    layers: int = Field(12, ge=2)
    """Layers; an alignment can tap each. REED's `align_depth 4` counts from 0 and is depth 5 here."""
    sets: int = Field(64, ge=1)
    """Sets of coordinates."""
    heads: int = Field(32, ge=1)
    """Heads of the attention over features."""
    message: int = Field(128, ge=1)
    """Width of an atom's features in messages."""
    message_hidden: int = Field(128, ge=1)
    """Width of messages in between, but in the first and the last layer, which have as much as they put out."""
    edge: int = Field(128, ge=1)
    """Width of a bond's features."""
    size_embedding: int = Field(64, ge=1)
    """Width of what stands for the number of atoms."""
    max_atoms: int = Field(256, ge=2)
    """Molecules have fewer atoms than this."""
    self_condition: bool = True
    """It reads the prediction before, which training makes for half of the molecules and sampling has anyway."""
    bond_refine: bool = True
    """Bonds see the predicted coordinates."""
    coordinate_norm: Literal["length", "gvp", "none"] = "length"
    """What sets of coordinates are divided by before they are read: their mean distance from the middle; each atom's
    own distance; nothing."""
    initialisation: Literal["reference", "ones"] = "reference"
    """First weights of sets of coordinates, and of the embedding of sizes: `reference` draws them as if they were
    matrices, which SemlaFlow does by accident; `ones` leaves them as they are meant, 1 and N(0, 1)."""

    @model_validator(mode="after")
    def _sizes_that_fit(self) -> "SemlaBackbone":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads ({self.heads})")
        if self.layers == 2:
            self.refuse("message_hidden", where="on layers: 2")
        return self

    def blocks(self) -> int:
        """Number of layers."""
        return self.layers

    def name(self) -> str:
        """Width, layers and sets of coordinates: `Semla-384x12/64`."""
        return f"Semla-{self.width}x{self.layers}/{self.sets}"

    def build(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Any:
        """A `nn.backbones.semla.Semla` for molecules of (any number of atoms, types, classes of bonds).

        Raises:
            ValueError: the data have a molecule with too many atoms.
        """
        from reedbench.nn.backbones.semla import Semla

        # Sizes of samples may be those of test molecules, which are no part of `sizes`.
        largest = max([*map(int, facts.get("sizes", ())), *facts.get("largest", {}).values()], default=0)
        if largest >= self.max_atoms:
            raise ValueError(f"a molecule has {largest} atoms: max_atoms must be at least {largest + 1}")
        _, tokens, bonds = shape
        sizes = {name: getattr(self, name) for name in type(self).model_fields if name != "uses"}
        return Semla(tokens=tokens, bonds=bonds, **sizes)

    @classmethod
    def published(cls, found: Mapping[str, Any]) -> Any:
        """Files of SemlaFlow and of REED's molecules."""
        from reedbench.nn.backbones.molecule_checkpoints import semla

        return semla(found)
