"""Alignment of hidden states to the features of a frozen encoder: projector, cosine loss, weights over time.

Source: REPA, arXiv:2410.06940; REED image/loss.py:98-225 @0a4527e (time weights), with t reversed.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.initialisation import GeneratorFor, fill, xavier_uniform


class Projector(nn.Sequential):
    """Three linear layers with SiLU in between, from the width of the backbone to the width of the encoder.

    Source: REPA models/sit.py:17 @67f7145; the keys of the state dict are 0, 2 and 4, as there.
    """

    def __init__(self, width: int, hidden: int, dim: int) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, dim)
        )

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name: weights Xavier-uniform, biases 0."""
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                xavier_uniform(parameter, generator_for(name))
            else:
                fill(parameter, 0.0)


def pool_tokens(h: Tensor) -> Tensor:
    """Mean over tokens: (b, n, d) -> (b, d)."""
    return h.mean(dim=1)


def cosine_alignment(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative cosine between prediction and target, (b, d) or (b, n, d) averaged over the n tokens -> (b,).

    Computed in float32 or higher: half precision loses the last digits of the norms.
    """
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    cosine = (F.normalize(prediction.to(dtype), dim=-1) * F.normalize(target.to(dtype), dim=-1)).sum(-1)
    return -cosine.reshape(len(cosine), -1).mean(dim=1)


# Weight of the alignment as a function of t (0 = noise, 1 = data): all but `constant` favour clean samples.
TIME_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": torch.ones_like,
    "linear": lambda t: t,
    "cosine": lambda t: (1 - torch.cos(torch.pi * t)) / 2,
    "sigmoid": lambda t: torch.sigmoid(10 * (t - 0.5)),
    "loglinear": lambda t: 1 - torch.log(2 - t),
}


def cutoff(t: Tensor, low: float, high: float) -> Tensor:
    """Weight 1 for low <= t <= high and 0 elsewhere."""
    return ((t >= low) & (t <= high)).to(t.dtype)


def sample_weights(
    time_weight: Tensor,
    mode: Literal["per-sample", "reference"] = "per-sample",
    total: Callable[[Tensor], Tensor] = lambda own: own,
) -> Tensor:
    """Weight of every sample's alignment loss (b,), from its weight over time (b,).

    `per-sample` leaves each its own. `reference` gives all of them the mean weight of the *global* batch: a broadcast
    in REED image/loss.py:222 @0a4527e turns the mean of products into the product of means. `total` sums over ranks.
    """
    if mode == "per-sample":
        return time_weight
    own = torch.stack([time_weight.sum().double(), time_weight.new_tensor(len(time_weight)).double()])
    weight, count = total(own).to(time_weight)
    return (weight / count).expand_as(time_weight)
