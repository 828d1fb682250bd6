"""SiTs that also read and predict something beside the image: a vector, as one token more, or further channels.

Sources: REG, arXiv:2507.01467: token = LayerNorm(Linear(c_t)) before the patches, without a position; a linear head on
it, zero when initialised. ReDi, arXiv:2504.16064: a map as further channels of the patches. Heads read what the
patches' own head reads: tokens that the final layer has normed and modulated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.sit import LAYER_NORM_EPS, PatchEmbedding, SiT, Tap, unpatchify
from reedbench.nn.initialisation import GeneratorFor, fill, xavier_uniform
from reedbench.nn.joint import Layout


class JointSiT(nn.Module):
    """Called as a SiT is, on flat states: the image, then the vector.

    Attributes:
        width, heads, channels, null_label, tokens: as of `SiT`; `tokens` are the patches.
    """

    def __init__(self, sit: SiT, dim: int) -> None:
        super().__init__()
        self.sit = sit
        self.width, self.heads, self.channels = sit.width, sit.heads, sit.channels
        self.null_label, self.tokens = sit.null_label, sit.tokens
        self.token_in = nn.Linear(dim, sit.width)
        self.token_norm = nn.LayerNorm(sit.width, eps=LAYER_NORM_EPS)
        self.token_out = nn.Linear(sit.width, dim)
        self.layout = Layout((sit.channels, sit.size, sit.size), {"token": (dim,)})

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[Tap] = (), *, only_taps: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the velocity of the state (b, entries), and hand out hidden states of the token and the patches.

        Arguments as in `SiT`; hidden states are (b, 1 + tokens, width).

        Raises:
            ValueError: x is an image without its vector.
        """
        image, vector = self.layout.split(x)
        token = self.token_norm(self.token_in(vector))[:, None]
        condition = self.sit.condition(t, y)
        patches = self.sit.tokens_of(image)
        h, tapped = self.sit.through(
            torch.cat([token.to(patches.dtype), patches], 1), condition, taps, only_taps=only_taps
        )
        if only_taps:
            return h.new_empty(0), tapped
        last = self.sit.final_layer
        h = last.modulated(h, condition)
        of_image = unpatchify(last.linear(h[:, 1:]), self.sit.patch)
        return self.layout.joined([of_image, self.token_out(h[:, 0])]), tapped

    def initialise(self, generator_for: GeneratorFor) -> None:
        """The SiT as one without a token starts; the embedding Xavier-uniform, its norm 1, the head 0."""
        self.sit.initialise(generator_for)
        xavier_uniform(self.token_in.weight, generator_for("token_in.weight"))
        fill(self.token_norm.weight, 1.0)
        for constant in (self.token_in.bias, self.token_norm.bias, *self.token_out.parameters()):
            fill(constant, 0.0)


class FeatureSiT(nn.Module):
    """Called as a SiT is, on flat states: the image, then a map (channels, size, size) of features.

    A convolution over the channels of both is the sum of one over each: the image's starts as in other methods.

    Attributes:
        width, heads, channels, null_label, tokens: as of `SiT`; `channels` are those of the image.
    """

    def __init__(self, sit: SiT, channels: int) -> None:
        super().__init__()
        self.sit = sit
        self.width, self.heads, self.channels = sit.width, sit.heads, sit.channels
        self.null_label, self.tokens = sit.null_label, sit.tokens
        self.map_in = PatchEmbedding(channels, sit.patch, sit.width)
        self.map_out = nn.Linear(sit.width, sit.patch**2 * channels)
        side = (sit.size, sit.size)
        self.layout = Layout((sit.channels, *side), {"features": (channels, *side)})

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[Tap] = (), *, only_taps: bool = False
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Predict the velocity of the state (b, entries), and hand out hidden states; arguments as in `SiT`.

        Raises:
            ValueError: x is an image without its map.
        """
        image, features = self.layout.split(x)
        condition = self.sit.condition(t, y)
        h, tapped = self.sit.through(
            self.sit.tokens_of(image) + self.map_in(features), condition, taps, only_taps=only_taps
        )
        if only_taps:
            return h.new_empty(0), tapped
        last = self.sit.final_layer
        h = last.modulated(h, condition)
        return self.layout.joined([unpatchify(head(h), self.sit.patch) for head in (last.linear, self.map_out)]), tapped

    def initialise(self, generator_for: GeneratorFor) -> None:
        """The SiT as one without a map starts; the map's embedding Xavier-uniform, its head 0."""
        self.sit.initialise(generator_for)
        xavier_uniform(self.map_in.proj.weight, generator_for("map_in.proj.weight"))
        fill(self.map_in.proj.bias, 0.0)
        for constant in self.map_out.parameters():
            fill(constant, 0.0)
