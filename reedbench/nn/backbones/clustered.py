"""A SiT that finds clusters of its data in its own features, and is told one of them in place of a label.

Source: SGDF, arXiv:2312.08825; sgfm @103d158 (class token, head, prototypes, two null tokens). Ours: the class token is
added to a SiT, the head has a LayerNorm where theirs has a BatchNorm, and the condition passes a linear layer.
"""

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.backbones.sit import EMBEDDING_STD, SiT, Tap
from reedbench.nn.initialisation import GeneratorFor, as_torch_does, fill, normal

SCORES: Final = ("scores", 0)  # as a tap: how near an image is to every cluster, (b, clusters)
UNIT_STD: Final = 1.0


class ClusteredSiT(SiT):
    """A SiT with a token for the whole image, from which a head tells clusters.

    A condition y (b,) is a cluster 0 .. K - 1, K for none of them, as stage 2 learns it, and K + 1 for none, as
    stage 1 does. It takes the layers of a SiT over, without a copy; the state dict keeps their names. Of its labels
    the null label alone is used: for stage 1.

    Args:
        sit: whose layers it takes; it is not to be used any more.
        clusters: K.

    Attributes:
        middle: number of blocks before the head looks at the class token, which does not feel it.
        histogram: (K,) how often each cluster was seen; all 0 before stage 2.
    """

    histogram: Tensor

    def __init__(self, sit: nn.Module, clusters: int) -> None:
        if not isinstance(sit, SiT):
            raise ValueError(f"clusters are found by networks of backbone sit alone, not by {type(sit).__name__}")
        self.take_over(sit)
        self.clusters, self.middle = clusters, max(1, len(sit.blocks) // 2)
        self.class_token = nn.Parameter(torch.zeros(self.width))
        self.null_token = nn.Parameter(torch.zeros(self.width))
        self.condition_embedder = nn.Linear(self.width, self.width)
        half = self.width // 2
        self.head = nn.Sequential(
            nn.Linear(self.width, half), nn.LayerNorm(half), nn.ReLU(), nn.Linear(half, self.width)
        )
        self.prototypes = nn.Parameter(torch.ones(clusters, self.width))
        self.register_buffer("histogram", torch.zeros(clusters))

    @property
    def unconditional(self) -> int:
        """The condition of stage 1."""
        return self.clusters + 1

    @property
    def null_label(self) -> int:  # type: ignore[override]
        """What guidance leads away from: none of the clusters; before there are any, the condition of stage 1."""
        return self.clusters if bool(self.histogram.any()) else self.unconditional

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[Tap] = (), *, only_taps: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As `SiT.forward` with a condition y; `SCORES` may be tapped, and hidden states are those of the patches."""
        condition = self.t_embedder(t) + F.embedding(y, self.conditions())
        h = torch.cat([self.class_token.expand(len(x), 1, -1), self.tokens_of(x)], 1)
        places = [self.middle if tap == SCORES else tap for tap in taps]
        h, tapped = self.through(h, condition, places, only_taps=only_taps)
        handed_out = tuple(self._handed_out(tap, found) for tap, found in zip(taps, tapped, strict=True))
        return (h.new_empty(0) if only_taps else self.velocity(h[:, 1:], condition)), handed_out

    def conditions(self) -> Tensor:
        """(K + 2, width): vectors of all conditions. Prototypes do not feel what is made of them."""
        known = self.condition_embedder(F.normalize(self.prototypes.detach(), dim=1))
        return torch.cat([known, self.null_token[None], self.y_embedder.embedding_table.weight[-1:]])

    def scores(self, token: Tensor) -> Tensor:
        """Cosines (b, K) of class tokens (b, width) behind the middle block and prototypes."""
        vectors = F.normalize(self.head(token.detach()), dim=1)
        # Those that are trained have unit length already (`renorm`), and feel what they are compared with as they are.
        prototypes = self.prototypes if self.training else F.normalize(self.prototypes, dim=1)
        return vectors @ prototypes.t()

    def _handed_out(self, tap: Tap, found: Tensor) -> Tensor:
        if tap == SCORES:
            return self.scores(found[:, 0])
        return found[:, 1:] if isinstance(tap, int) else found

    @torch.no_grad()
    def renorm(self) -> None:
        """Give prototypes unit length, in place: to be done before every pass of training."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))

    def initialise(self, generator_for: GeneratorFor) -> None:
        """As `SiT.initialise`, so that methods start alike; tokens as labels, the head as torch does, unit vectors."""
        super().initialise(generator_for)
        for name, token in (("class_token", self.class_token), ("null_token", self.null_token)):
            normal(token, EMBEDDING_STD, generator_for(name))
        as_torch_does(self.head, lambda name: generator_for(f"head.{name}"))
        fill(self.head[1].weight, 1.0)
        fill(self.head[1].bias, 0.0)
        normal(self.prototypes, UNIT_STD, generator_for("prototypes"))
        self.renorm()
