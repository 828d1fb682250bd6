"""SiT: a diffusion transformer with adaLN-zero conditioning. Ma et al. 2024, arXiv:2401.08740."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.backbones import AbstractBackbone

SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}  # width, depth, heads


class SiTBackbone(AbstractBackbone):
    """SiT of a published size (`size: XL`) or of a free one (`width`, `depth`, `heads`)."""

    domain: ClassVar[str] = "image"
    cites: ClassVar[tuple[str, ...]] = ("peebles2023dit", "ma2024sit")
    uses: Literal["sit"] = "sit"

    size: Literal["S", "B", "L", "XL"] | None = None
    """Published size; gives width, depth and heads."""
    patch: int = Field(2, ge=1)
    """Side of a patch, in latent pixels."""
    width: int = Field(0, ge=0)
    """Hidden width; a multiple of 4 and of the number of heads."""
    depth: int = Field(0, ge=0)
    """Number of transformer blocks."""
    heads: int = Field(0, ge=0)
    """Attention heads."""
    qk_norm: bool = False
    """LayerNorm on queries and keys."""

    @model_validator(mode="after")
    def _one_way_to_say_the_size(self) -> "SiTBackbone":
        free = (self.width, self.depth, self.heads)
        if (self.size is None) != all(free) or (self.size is not None and any(free)):
            raise ValueError("give either size (S, B, L, XL) or all of width, depth and heads")
        width, _, heads = self.dimensions
        if width % heads or width % 4:
            raise ValueError(f"width {width} must be a multiple of heads ({heads}) and of 4")
        return self

    @property
    def dimensions(self) -> tuple[int, int, int]:
        """Width, depth, heads."""
        return SIZES[self.size] if self.size else (self.width, self.depth, self.heads)

    def blocks(self) -> int:
        """Number of transformer blocks."""
        return self.dimensions[1]

    def name(self) -> str:
        """`SiT-XL/2`, or width and depth of a free size: `SiT-64x6/2`."""
        width, depth, _ = self.dimensions
        return f"SiT-{self.size or f'{width}x{depth}'}/{self.patch}"

    def build(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Any:
        """A `nn.backbones.sit.SiT` for (channels, side, side) latents."""
        from reedbench.nn.backbones.sit import SiT

        width, depth, heads = self.dimensions
        return SiT(
            size=shape[-1],
            channels=shape[0],
            patch=self.patch,
            width=width,
            depth=depth,
            heads=heads,
            classes=int(facts["classes"]),
            qk_norm=self.qk_norm,
        )

    def cut(self, network: Any, block: int) -> Any:
        """Without the blocks behind it."""
        return network.cut(block)

    @classmethod
    def published(cls, found: Mapping[str, Any]) -> Any:
        """Files of SiT, REPA and REED."""
        from reedbench.nn.backbones.checkpoints import recognise

        return recognise(found)

    @classmethod
    def named(cls, sizes: Mapping[str, Any]) -> str:
        """`SiT-XL/2` where width and depth are those of a published size; how many heads there are, no file says."""
        shape = sizes["width"], sizes["depth"]
        known = next((name for name, (width, depth, _) in SIZES.items() if (width, depth) == shape), None)
        return f"SiT-{known or f'{shape[0]}x{shape[1]}'}/{sizes['patch']}"
