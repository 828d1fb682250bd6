"""A SiT that also reads and predicts a noisy vector beside the image, as one token before the patches.

Source: REG, arXiv:2507.01467: token = LayerNorm(Linear(c_t)), without a position; a linear head on it, zero when
initialised. The head reads what the patches' head reads: tokens that the final layer has normed and modulated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reedbench.nn.backbones.sit import LAYER_NORM_EPS, SiT, Tap, unpatchify
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
