"""EGNN: a denoiser of molecules whose atoms carry invariant features and move along the lines between them.

Source: Satorras et al. 2021, arXiv:2102.09844; Hoogeboom et al. 2022, arXiv:2203.17003 (EDM), egnn/egnn_new.py and
egnn/models.py @fce07d7. State-dict keys as there, without the prefix `dynamics.` of their diffusion.

The reference concatenates [receiver | sender | distances] for every pair before the first matrix; here each part of the
matrix works where its input lives: the same function.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.initialisation import GeneratorFor, fan_in_uniform, xavier_uniform

EPS: Final = 1e-8  # added to squared distances before their root
NORM_CONSTANT: Final = 1.0  # added to distances that differences are divided by
REACH: Final = 15.0  # bound of what a pair moves; not divided by the number of blocks, as in the reference
LAST: Final = "coord_mlp.4.weight"  # what moves atoms, small at the start
LAST_GAIN: Final = 1e-3
# (site, depth): features of atoms after block 1, 2, ...; they are 0 on padding
Tap = tuple[Literal["masked"], int]


@dataclass(frozen=True)
class Pairs:
    """All pairs of atoms of a batch.

    Attributes:
        joined: (b, N, N, 1), 1 for two different real atoms.
        apart: (b, N, N, 1), squared distances before the first block.
        mask: (b, N, 1), 1 for real atoms.
    """

    joined: Tensor
    apart: Tensor
    mask: Tensor

    @classmethod
    def of(cls, coordinates: Tensor, mask: Tensor) -> "Pairs":
        """Of coordinates (b, N, 3) and mask (b, N)."""
        others = 1 - torch.eye(mask.shape[1], dtype=mask.dtype, device=mask.device)
        joined = (mask[:, :, None] * mask[:, None] * others)[..., None]
        return cls(joined, between(coordinates)[1], mask[..., None])


def between(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences (b, N, N, 3), receiver minus sender, and squared distances (b, N, N, 1) of places (b, N, 3)."""
    differences = x[:, :, None] - x[:, None]
    return differences, differences.square().sum(-1, keepdim=True)


def of_pairs(mlp: nn.Sequential, h: Tensor, distances: Tensor) -> Tensor:
    """`mlp` on [receiver | sender | distances] of all pairs, of features (b, N, d) and distances (b, N, N, 2)."""
    first, *others = mlp
    receiver, sender, pair = first.weight.split([h.shape[-1], h.shape[-1], 2], dim=1)
    x = F.linear(h, receiver, first.bias)[:, :, None] + F.linear(h, sender)[:, None]
    x = x + F.linear(distances, pair)
    for layer in others:
        x = layer(x)
    return x


class GCL(nn.Module):
    """Messages of all other atoms, added up, change the features."""

    def __init__(self, width: int, *, attention: bool) -> None:
        super().__init__()
        self.edge_mlp = nn.Sequential(nn.Linear(2 * width + 2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.node_mlp = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        if attention:
            self.att_mlp = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())
        self.attention = attention

    def forward(self, h: Tensor, distances: Tensor, pairs: Pairs) -> Tensor:
        """Features (b, N, d) and squared distances (b, N, N, 2), now and before the first block -> features."""
        messages = of_pairs(self.edge_mlp, h, distances)
        weights = self.att_mlp(messages) * pairs.joined if self.attention else pairs.joined
        total = (weights.mT @ messages)[..., 0, :]
        return (h + self.node_mlp(torch.cat([h, total], dim=-1))) * pairs.mask


class EquivariantUpdate(nn.Module):
    """Every atom moves away from, or towards, all others."""

    def __init__(self, width: int, *, tanh: bool) -> None:
        super().__init__()
        self.coord_mlp = nn.Sequential(
            nn.Linear(2 * width + 2, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 1, bias=False),
        )  # fmt: skip
        self.tanh = tanh

    def forward(self, x: Tensor, h: Tensor, directions: Tensor, distances: Tensor, pairs: Pairs) -> Tensor:
        """Places (b, N, 3) -> places, along directions (b, N, N, 3)."""
        far = of_pairs(self.coord_mlp, h, distances)
        far = REACH * torch.tanh(far) if self.tanh else far
        return (x + ((far * pairs.joined).mT @ directions)[..., 0, :]) * pairs.mask


class Block(nn.Module):
    """Features, then places."""

    def __init__(self, width: int, *, attention: bool, tanh: bool) -> None:
        super().__init__()
        self.gcl_0 = GCL(width, attention=attention)
        self.gcl_equiv = EquivariantUpdate(width, tanh=tanh)

    def forward(self, x: Tensor, h: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Places (b, N, 3) and features (b, N, d) -> the same."""
        differences, now = between(x)
        directions = differences / ((now + EPS).sqrt() + NORM_CONSTANT)
        distances = torch.cat([now, pairs.apart], dim=-1)
        h = self.gcl_0(h, distances, pairs)
        return self.gcl_equiv(x, h, directions, distances, pairs), h


class Blocks(nn.Module):
    """All blocks between the embeddings; it is there for the keys of the reference."""

    def __init__(self, inputs: int, width: int, layers: int, *, attention: bool, tanh: bool) -> None:
        super().__init__()
        self.embedding = nn.Linear(inputs, width)
        self.embedding_out = nn.Linear(width, inputs)
        self.names = [f"e_block_{i}" for i in range(layers)]
        for name in self.names:
            self.add_module(name, Block(width, attention=attention, tanh=tanh))

    def forward(
        self, x: Tensor, h: Tensor, pairs: Pairs, depths: Sequence[int]
    ) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        """Places (b, N, 3) and features (b, N, inputs) -> the same, and features (b, N, d) after some blocks."""
        h = self.embedding(h)
        tapped: dict[int, Tensor] = {}
        for depth, name in enumerate(self.names, start=1):
            x, h = self.get_submodule(name)(x, h, pairs)
            if depth in depths:
                tapped[depth] = h
        return x, self.embedding_out(h) * pairs.mask, tapped


class EGNN(nn.Module):
    """Noisy molecules -> how places and features change, E(3) equivariant, mirroring included.

    A plain constructor leaves the default values of torch; call `initialise` or load a state dict. What is not finite
    stays so, where the reference writes 0 (egnn/models.py:100).

    Args:
        features: F, of an atom.
        width: d, of the hidden features.
        layers: number of blocks.
        attention: messages have a gate.
        tanh: what a pair moves is bounded.
        atomic_numbers: whether the last feature is the atomic number, for losses that make features of atoms.

    Attributes:
        features: as given.
        atomic_numbers: as given.
        width: of hidden states.
        layers: the largest depth of a tap.
        self_condition: it reads no previous prediction.
    """

    self_condition: Final = False

    def __init__(
        self,
        *,
        features: int,
        width: int = 256,
        layers: int = 9,
        attention: bool = True,
        tanh: bool = True,
        atomic_numbers: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.width, self.layers, self.atomic_numbers = features, width, layers, atomic_numbers
        self.egnn = Blocks(features + 1, width, layers, attention=attention, tanh=tanh)

    def forward(
        self, coordinates: Tensor, features: Tensor, t: Tensor, mask: Tensor, taps: Sequence[Tap] = ()
    ) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
        """Predict what noise there is, or whatever the loss makes of it, and hand out hidden states on the way.

        Args:
            coordinates: (b, N, 3).
            features: (b, N, F), 0 on padding.
            t: (b,), as the network was trained to see it.
            mask: (b, N), 1 for real atoms.
            taps: hidden states that are wanted, see `Tap`.

        Returns:
            Changes of coordinates (b, N, 3), centred, and of features (b, N, F), both 0 on padding; and hidden states
            (b, N, width) in the order of `taps`.

        Raises:
            ValueError: there is no such tap.
        """
        for site, depth in taps:
            if site != "masked" or not 1 <= depth <= self.layers:
                raise ValueError(
                    f"tap {(site, depth)}: the site must be masked, and the depth between 1 and {self.layers}"
                )
        mask = mask.to(coordinates.dtype)
        pairs = Pairs.of(coordinates, mask)
        start = coordinates * pairs.mask
        time = t.to(features.dtype)[:, None, None] * pairs.mask
        x, h, tapped = self.egnn(start, torch.cat([features, time], dim=-1), pairs, [depth for _, depth in taps])
        velocity = (x - start) * pairs.mask
        mean = velocity.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]
        return (velocity - mean * pairs.mask, h[..., :-1]), [tapped[depth] for _, depth in taps]

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name, so that methods start with equal backbones.

        Matrices and biases follow torch's law, U(-1 / sqrt(inputs), 1 / sqrt(inputs)); the last matrix of a movement is
        Xavier-uniform with gain 0.001.
        """
        for name, parameter in self.named_parameters():
            if name.endswith(LAST):
                xavier_uniform(parameter, generator_for(name))
                with torch.no_grad():
                    parameter.mul_(LAST_GAIN)
            else:
                inputs = self.get_submodule(name.rpartition(".")[0]).in_features
                fan_in_uniform(parameter, inputs, generator_for(name))
