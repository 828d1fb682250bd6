"""What Uni-Mol learns from molecules alone: some atoms are masked and moved, and told from the rest.

REED shows every molecule three times: clean, from which the global vector is made; with few atoms masked and little
noise; and with many masked and much noise, where the global vector helps. Source: Zhou et al., Uni-Mol, ICLR 2023,
https://openreview.net/forum?id=6K2RM6wVqKu; REED, arXiv:2507.08980, molecule/models/unimol/unimol/losses/
unimol_global.py and tasks/unimol_drug_more_global.py @0a4527e.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn import draws
from reedbench.nn.unimol import END, FIRST, KERNELS, Encoded, Head, Pooling, UniMol, distances, mlp

NORMAL, DIFFICULT = (0.15, 1.0), (0.3, 2.0)  # share of the atoms that is masked, and largest noise in Angstrom
LEFT, RANDOM = 0.05, 0.05  # shares of the chosen that keep token and place, or get a random token
MEAN, STD = 6.312581655060595, 3.3899264663911888  # Angstrom, of Uni-Mol's distances; they scale what is learnt
PLACES, PAIRS, NORMS = 5.0, 10.0, 0.01  # weights of the losses beside that of the tokens
SLACK: Final = 1.0  # by which a norm may differ from the root of its dimension


class LettersHead(nn.Module):
    """Logits of the tokens."""

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__()
        self.dense, self.layer_norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.weight, self.bias = nn.Parameter(torch.empty(vocabulary, width)), nn.Parameter(torch.empty(vocabulary))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., vocabulary)."""
        return F.linear(self.layer_norm(F.gelu(self.dense(x))), self.weight, self.bias)


class DistanceHead(nn.Module):
    """A distance for every pair, the same both ways."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.dense, self.layer_norm, self.out_proj = nn.Linear(heads, heads), nn.LayerNorm(heads), nn.Linear(heads, 1)

    def forward(self, pairs: Tensor) -> Tensor:
        """(b, n, n, heads) -> (b, n, n)."""
        x = self.out_proj(self.layer_norm(F.gelu(self.dense(pairs))))[..., 0]
        return (x + x.transpose(-1, -2)) / 2


class MaskedUniMol(UniMol):
    """The network with what it is trained by: heads for tokens, places and distances, and the way of the global vector
    back into the difficult view."""

    mlps = (*UniMol.mlps, "node_feature_fusion")

    def __init__(
        self, vocabulary: int, layers: int, width: int, hidden: int, heads: int, kernels: int = KERNELS
    ) -> None:
        super().__init__(vocabulary, layers, width, hidden, heads, kernels)
        self.lm_head, self.dist_head = LettersHead(width, vocabulary), DistanceHead(heads)
        self.pair2coord_proj = Head(heads, 1)
        self.node_feature_fusion = mlp(width)


class View(NamedTuple):
    """A molecule as it is shown.

    Attributes:
        tokens: (b, n) int64.
        coordinates: (b, n, 3), in Angstrom.
        chosen: (b, n) bool, the atoms that are to be told.
    """

    tokens: Tensor
    coordinates: Tensor
    chosen: Tensor


def view(
    tokens: Tensor, coordinates: Tensor, how: tuple[float, float], vocabulary: int, generator: np.random.Generator
) -> View:
    """Mask atoms of molecules as of `unimol.formatted`.

    Args:
        tokens: (b, n) int64.
        coordinates: (b, n, 3).
        how: share of the atoms of each that is chosen, rounded up or down at random, and largest noise, see `NORMAL`.
        vocabulary: number of tokens, the last one being the mask.
        generator: of all draws.
    """
    share, noise = how
    atoms = tokens > END
    count = (share * atoms.sum(1, keepdim=True) + draws.uniform(generator, len(tokens), 1)).long()
    order = draws.uniform(generator, *tokens.shape).masked_fill(~atoms, 2.0)
    chosen = (order.argsort(1).argsort(1) < count) & atoms
    fate = draws.uniform(generator, *tokens.shape)
    changed = chosen & (fate >= LEFT)
    other = FIRST + draws.integers(generator, vocabulary - 1 - FIRST, *tokens.shape)
    shown = torch.where(changed, torch.where(fate < LEFT + RANDOM, other, vocabulary - 1), tokens)
    moved = noise * (2 * draws.uniform(generator, *coordinates.shape) - 1) * changed[..., None]
    return View(shown, coordinates + moved.to(coordinates), chosen)


def loss(
    network: MaskedUniMol, tokens: Tensor, coordinates: Tensor, pooling: Pooling, generator: np.random.Generator
) -> Tensor:
    """Of both views of a batch of clean molecules, a scalar; the clean one is seen through the global vector alone."""
    views = [view(tokens, coordinates, how, network.vocabulary, generator) for how in (NORMAL, DIFFICULT)]
    added = network.node_feature_fusion(network.whole(network(tokens, coordinates), pooling))
    both = network(
        torch.cat([each.tokens for each in views]),
        torch.cat([each.coordinates for each in views]),
        torch.cat([torch.zeros_like(added), added]),
    )
    parts = zip(views, zip(*(part.chunk(2) for part in both), strict=True), strict=True)
    return torch.stack([_of_view(network, tokens, coordinates, one, Encoded(*part)) for one, part in parts]).sum()


def _of_view(network: MaskedUniMol, tokens: Tensor, coordinates: Tensor, shown: View, encoded: Encoded) -> Tensor:
    chosen, there = shown.chosen, encoded.there
    count = chosen.sum().clamp(min=1)  # nothing may be chosen in a batch of very small molecules
    told = F.cross_entropy(network.lm_head(encoded.states[chosen]), tokens[chosen], reduction="sum") / count
    placed = places(network, shown.coordinates, encoded)[chosen]
    place = F.smooth_l1_loss(placed, coordinates[chosen], reduction="sum") / (3 * count)
    wanted, others = (distances(coordinates)[chosen] - MEAN) / STD, _others(there)[chosen]
    guessed = network.dist_head(pairs(encoded.logits, there))[chosen]
    pair = F.smooth_l1_loss(guessed[others], wanted[others], reduction="sum") / others.sum().clamp(min=1)
    both = there[:, :, None] & there[:, None]
    norms = _off(encoded.raw, there) + _off(pairs(encoded.logits - encoded.bias, there), both)
    return told + PLACES * place + PAIRS * pair + NORMS * norms


def pairs(logits: Tensor, there: Tensor) -> Tensor:
    """(b, heads, n, n) -> (b, n, n, heads), 0 for pairs whose second token is padding."""
    return (logits * there[:, None, None]).permute(0, 2, 3, 1)


def places(network: MaskedUniMol, coordinates: Tensor, encoded: Encoded) -> Tensor:
    """Coordinates (b, n, 3) as the network corrects them, by the change of the pairs through the layers."""
    there = encoded.there
    change = network.encoder.final_head_layer_norm(pairs(encoded.logits - encoded.bias, there))
    share = network.pair2coord_proj(change)[..., 0] * there[:, None] / there.sum(1)[:, None, None]
    return coordinates + share @ coordinates - share.sum(-1, keepdim=True) * coordinates


def guesses(network: MaskedUniMol, shown: View) -> tuple[Tensor, Tensor]:
    """Tokens (b, n) and distances (b, n, n), in Angstrom, as the network tells them from a view."""
    encoded = network(shown.tokens, shown.coordinates)
    tokens = network.lm_head(encoded.states).argmax(-1)
    return tokens, network.dist_head(pairs(encoded.logits, encoded.there)) * STD + MEAN


def _others(there: Tensor) -> Tensor:
    """(b, n, n) bool: the second token is there and is not the first."""
    return there[:, None] & ~torch.eye(there.shape[1], dtype=torch.bool, device=there.device)


def _off(x: Tensor, there: Tensor) -> Tensor:
    """By how much norms over the last axis differ from the root of its dimension beyond `SLACK`.

    A mean over the entries of each molecule, then over molecules.
    """
    norms = (x.square().sum(-1) + 1e-10).sqrt()
    off = F.relu((norms - x.shape[-1] ** 0.5).abs() - SLACK) * there
    return (off.flatten(1).sum(1) / there.flatten(1).sum(1)).mean()
