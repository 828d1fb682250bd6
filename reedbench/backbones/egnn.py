"""EGNN as a denoiser of molecules, as in EDM. Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.backbones import AbstractBackbone

SPECIAL = 2  # types that are no element: padding and mask


class EGNNBackbone(AbstractBackbone):
    """Message passing between all atoms, which move along the lines between them; of EDM's size on QM9."""

    domain: ClassVar[str] = "molecule"
    cites: ClassVar[tuple[str, ...]] = ("satorras2021egnn", "hoogeboom2022edm")
    uses: Literal["egnn"] = "egnn"

    width: int = Field(256, ge=1)
    """Width of an atom's features."""
    layers: int = Field(9, ge=1)
    """Blocks; an alignment can tap each."""
    attention: bool = True
    """Messages have a gate."""
    tanh: bool = True
    """What a pair moves is bounded."""
    atomic_numbers: bool = True
    """Atoms have their atomic number as a feature beside their element, as EDM has on QM9 and not on GEOM-Drugs."""

    def blocks(self) -> int:
        """Number of blocks."""
        return self.layers

    def name(self) -> str:
        """Width and blocks: `EGNN-256x9`."""
        return f"EGNN-{self.width}x{self.layers}"

    def build(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Any:
        """A `nn.backbones.egnn.EGNN` for molecules of (any number of atoms, types, classes of bonds)."""
        from reedbench.nn.backbones.egnn import EGNN

        sizes = {name: getattr(self, name) for name in type(self).model_fields if name != "uses"}
        return EGNN(features=shape[1] - SPECIAL + self.atomic_numbers, **sizes)

    @classmethod
    def published(cls, found: Mapping[str, Any]) -> Any:
        """Files of EDM."""
        from reedbench.nn.backbones.molecule_checkpoints import egnn

        return egnn(found)
