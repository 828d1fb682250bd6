"""A frozen SiT, and a small guide that reads the scale of guidance and adds to its upper blocks.

Source: plug-and-play diffusion distillation, arXiv:2406.01954, figure 2 (a guide network whose outputs are added to the
frozen base, its last layers zero); its shape for a SiT is our choice.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from reedbench.nn.backbones.sit import (
    Block,
    LabelEmbedding,
    PatchEmbedding,
    SiT,
    Tap,
    TimeEmbedding,
    position_table,
)
from reedbench.nn.initialisation import GeneratorFor, fill, normal, xavier_uniform

EMBEDDING_STD = 0.02


class Guide(nn.Module):
    """A SiT of a few narrow blocks, with an embedding of the scale; one linear layer per block that it adds to.

    Args:
        base: whose input it reads, and to whose blocks it adds.
        width: of its tokens.
        blocks: how many it has.
        heads: of each.
        depths: blocks of the base, 1-based.
    """

    def __init__(self, base: SiT, width: int, blocks: int, heads: int, depths: Sequence[int]) -> None:
        super().__init__()
        channels, grid = base.x_embedder.proj.in_channels, round(base.tokens**0.5)
        self.x_embedder = PatchEmbedding(channels, base.patch, width)
        self.t_embedder, self.scale_embedder = TimeEmbedding(width), TimeEmbedding(width)
        self.y_embedder = LabelEmbedding(base.null_label, width)
        self.register_buffer("pos_embed", position_table(width, grid)[None])
        self.blocks = nn.ModuleList(Block(width, heads, 4.0, False) for _ in range(blocks))
        self.outputs = nn.ModuleDict({str(depth): nn.Linear(width, base.width) for depth in depths})

    def forward(self, x: Tensor, t: Tensor, y: Tensor, scale: Tensor) -> dict[int, Tensor]:
        """What is added to the output of blocks, by their depth: (b, tokens, width of the base)."""
        condition = self.t_embedder(t) + self.y_embedder(y) + self.scale_embedder(scale)
        h = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            h = block(h, condition)
        return {int(depth): output(h) for depth, output in self.outputs.items()}

    def initialise(self, generator_for: GeneratorFor) -> None:
        """As `SiT.initialise`: modulations and outputs are 0, so that a fresh guide says nothing."""
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or "adaLN_modulation" in name or name.startswith("outputs."):
                fill(parameter, 0.0)
            elif name.startswith(("t_embedder.", "y_embedder.", "scale_embedder.")):
                normal(parameter, EMBEDDING_STD, generator_for(name))
            else:
                xavier_uniform(parameter, generator_for(name))


class GuidedSiT(nn.Module):
    """The base, whose parameters are frozen, and the guide; both are sampled, and called as one SiT is.

    Args:
        base: a SiT.
        width: of the guide's tokens.
        blocks: of the guide.

    Attributes:
        width, tokens, null_label: of the base.
    """

    def __init__(self, base: nn.Module, width: int, blocks: int) -> None:
        super().__init__()
        if not isinstance(base, SiT):
            raise ValueError(f"a guide is for networks of backbone sit alone, not of {type(base).__name__}")
        depth, heads = len(base.blocks), base.blocks[0].attn.heads
        self.base = base.requires_grad_(False)
        fits = next(n for n in range(min(heads, width), 0, -1) if width % n == 0)
        self.guide = Guide(base, width, blocks, fits, [k for k in range(1, depth + 1) if 2 * k >= depth])
        self.width, self.tokens, self.null_label = base.width, base.tokens, base.null_label

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        y: Tensor,
        taps: Sequence[Tap] = (),
        *,
        only_taps: bool = False,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `SiT.forward`, at a scale (b,) per row; without one at 1, where guidance is off."""
        added = self.guide(x, t, y, t.new_ones(t.shape) if scale is None else scale)
        condition = self.base.condition(t, y)
        h, tapped = self.base.through(self.base.tokens_of(x), condition, taps, only_taps=only_taps, added=added)
        return (h.new_empty(0) if only_taps else self.base.velocity(h, condition)), tapped

    def cut(self, block: int) -> "GuidedSiT":
        """The same network without the blocks of the base behind one, 1-based."""
        self.base.cut(block)
        return self

    def initialise(self, generator_for: GeneratorFor) -> None:
        """The guide from streams of its own names; the base as every SiT, until it gets its teacher's weights."""
        self.base.initialise(generator_for)
        self.guide.initialise(lambda name: generator_for(f"guide.{name}"))
