"""Small molecules as batches, networks of the signatures of Semla and EGNN, and for each one that knows the answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from reedbench.core import seeds
from reedbench.nn.initialisation import GeneratorFor, normal
from reedbench.nn.molecule_classes import BONDS, FIRST
from reedbench.nn.molecule_diffusion import LEVELS, features, gammas, signal_and_noise

TOKENS, CHARGES, WIDTH = 6, 7, 8
ELEMENTS = TOKENS - FIRST
SIZES = (5, 1, 3, 7)


class Prediction(NamedTuple):
    """As that of Semla."""

    coordinates: Tensor
    types: Tensor
    bonds: Tensor
    charges: Tensor


def batch(sizes: Sequence[int] = SIZES, length: int | None = None, seed: int = 0) -> dict[str, Tensor]:
    """Random molecules, each the same whatever the others are."""
    longest = length or max(sizes)
    whole: dict[str, list[np.ndarray]] = {}
    for row, n in enumerate(sizes):
        rng = np.random.default_rng([seed, row])
        places, order = rng.normal(size=(n, 3)), np.tril(rng.integers(0, BONDS, (n, n)), -1)
        one = {
            "coordinates": (places - places.mean(0)).astype(np.float32),
            "types": rng.integers(FIRST, TOKENS, n),
            "numbers": rng.integers(1, 9, n),
            "charges": rng.integers(0, CHARGES, n),
            "bonds": order + order.T,
            "mask": np.ones(n, np.float32),
        }
        for name, x in one.items():
            pad = [(0, longest - n)] * (2 if name == "bonds" else 1) + [(0, 0)] * (name == "coordinates")
            whole.setdefault(name, []).append(np.pad(x, pad))
    return {name: torch.from_numpy(np.stack(x)) for name, x in whole.items()}


def streams(rows: int | Sequence[int], *where: Any) -> Any:
    """Named streams of some rows."""
    numbers = range(rows) if isinstance(rows, int) else rows
    return lambda name: seeds.rows(numbers, name, *where)


class Toy(nn.Module):
    """Sees all that it is given, and nothing of the padding; equivariant it is not."""

    def __init__(self, *, tokens: int = TOKENS, bonds: int = BONDS, self_condition: bool = True) -> None:
        super().__init__()
        self.tokens, self.bonds, self.width, self.self_condition = tokens, bonds, WIDTH, self_condition
        self.layers = nn.ModuleList([nn.Linear(2 * (3 + tokens + bonds) + 1, WIDTH), nn.Linear(WIDTH, WIDTH)])
        self.heads = nn.ModuleList([nn.Linear(WIDTH, n) for n in (3, tokens, bonds, CHARGES)])

    def forward(self, coordinates, types, bonds, t, mask, previous=None, taps=()):
        there = mask[..., None]
        seen = [coordinates, types, (bonds * there[:, None]).sum(2)]
        if previous is None:
            given = [torch.zeros_like(x) for x in seen]
        else:
            given = [previous[0], previous[1], (previous[2] * there[:, None]).sum(2)]
        h = torch.cat([*seen, *given, t[:, None, None].expand(*mask.shape, 1)], -1)
        hidden = []
        for layer in self.layers:
            h = torch.tanh(layer(h))
            hidden.append(h)
        places, atoms, pairs, charges = (
            head(x) for head, x in zip(self.heads, (h, h, h[:, :, None] + h[:, None], h), strict=True)
        )
        found = Prediction(places * there, atoms, pairs, charges)
        return found, [hidden[d - 1] * there if site == "masked" else hidden[d - 1] for site, d in taps]

    def initialise(self, generator_for: GeneratorFor) -> None:
        """All parameters from N(0, 0.3^2)."""
        for name, parameter in self.named_parameters():
            normal(parameter, 0.3, generator_for(name))


class Oracle:
    """Knows the molecules whatever it is shown, and remembers that."""

    tokens, bonds, self_condition = TOKENS, BONDS, True

    def __init__(self, data: dict[str, Tensor]) -> None:
        self.data, self.shown = data, []

    def __call__(self, *inputs, previous=None):
        self.shown.append((inputs, previous))
        sure = [
            50.0 * nn.functional.one_hot(self.data[name], n).float()
            for name, n in (("types", self.tokens), ("bonds", self.bonds), ("charges", CHARGES))
        ]
        return Prediction(self.data["coordinates"].to(inputs[0].dtype), *sure), []


class NoiseToy(nn.Module):
    """Of the signature of EGNN, and equivariant to nothing."""

    self_condition = False

    def __init__(self, atomic_numbers: bool = True) -> None:
        super().__init__()
        self.atomic_numbers, self.features, self.width = atomic_numbers, ELEMENTS + atomic_numbers, WIDTH
        self.inner, self.outer = nn.Linear(4 + self.features, WIDTH), nn.Linear(WIDTH, 3 + self.features)

    def forward(self, coordinates, h, t, mask, taps=()):
        there = mask[..., None]
        hidden = torch.tanh(self.inner(torch.cat([coordinates, h, t[:, None, None].expand_as(there)], -1))) * there
        x, h = (self.outer(hidden) * there).split([3, self.features], -1)
        return (x, h), [hidden for _ in taps]

    def initialise(self, generator_for: GeneratorFor) -> None:
        for name, parameter in self.named_parameters():
            normal(parameter, 0.3, generator_for(name))


class NoiseOracle(NoiseToy):
    """Finds the noise of known data in what it is shown."""

    def __init__(self, data: dict[str, Tensor], atomic_numbers: bool = True) -> None:
        super().__init__(atomic_numbers)
        self.clean = data["coordinates"], features(data, self.features, atomic_numbers=atomic_numbers)

    def forward(self, coordinates, h, t, mask, taps=()):
        gamma = gammas()[(t * LEVELS).round().long()].to(t.dtype)[:, None, None]
        signal, noise = signal_and_noise(gamma)
        return tuple((z - signal * x) / noise for z, x in zip((coordinates, h), self.clean, strict=True)), []
