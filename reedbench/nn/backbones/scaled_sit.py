"""A SiT that reads a scale beside time and label: that of guidance, or what a method puts in its place.

Source: MG, arXiv:2502.12154, models.py of its release (a second time embedding, added to the condition); guided
distillation, arXiv:2210.03142, section 3.1 (the guidance weight as an input).
"""

from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

from reedbench.nn.backbones.sit import EMBEDDING_STD, SiT, Tap, TimeEmbedding
from reedbench.nn.initialisation import GeneratorFor, normal

LAST_STD: Final = 0.0002  # of the last layer, as MG's release has it


class ScaledSiT(SiT):
    """A SiT around whose own layers nothing changes, except that the condition is a sum of three embeddings.

    It takes the layers of a SiT over, without a copy; the state dict keeps their names and adds `scale_embedder.*`.

    Args:
        sit: whose layers it takes; it is not to be used any more.
        last_std: standard deviation of the last layer of the scale's embedding when initialised. With 0 the network
            starts as one that reads no scale.
    """

    def __init__(self, sit: nn.Module, last_std: float = LAST_STD) -> None:
        if not isinstance(sit, SiT):
            raise ValueError(f"a scale is read by networks of backbone sit alone, not by {type(sit).__name__}")
        self.take_over(sit)
        self.null_label = sit.null_label
        self.scale_embedder = TimeEmbedding(self.width)
        self.last_std = last_std

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
        condition = self.condition(t, y) + self.scale_embedder(t.new_ones(t.shape) if scale is None else scale)
        h, tapped = self.through(self.tokens_of(x), condition, taps, only_taps=only_taps)
        return (h.new_empty(0) if only_taps else self.velocity(h, condition)), tapped

    def initialise(self, generator_for: GeneratorFor) -> None:
        """As `SiT.initialise`, so that methods start alike; the scale's embedding as that of time, but for its last
        layer, which is N(0, `last_std`^2)."""
        super().initialise(generator_for)
        first, _, last = self.scale_embedder.mlp
        for number, layer, std in ((0, first, EMBEDDING_STD), (2, last, self.last_std)):
            normal(layer.weight, std, generator_for(f"scale_embedder.mlp.{number}.weight"))
