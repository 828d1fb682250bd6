"""A small transformer that reads sequence and structure of a chain and predicts its masked residues.

Masked prediction is after BERT, arXiv:1810.04805, as ESM uses it for proteins; attention is biased by distance in space
and along the chain, as in the pair biases of AlphaFold. It plays ESM's part where no weights are at hand.
"""

import math
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn import draws
from reedbench.nn.backbone_features import OTHER_CHAIN, REACH, with_virtual_cb
from reedbench.nn.initialisation import GeneratorFor, fill, xavier_uniform
from reedbench.nn.residues import AMINO_ACIDS, MASK, VOCABULARY

SHELL, CROWD = 10.0, 16.0  # Angstrom; neighbours within the shell that count as one unit of the feature
FAR, NOWHERE = 24, 25  # classes of distance
FEATURES: Final = 8  # of a residue: cos and sin of phi, psi and omega, neighbours, whether it is resolved
LETTERS: Final = len(AMINO_ACIDS)
SQUARE_FLOOR: Final = 1e-12  # under the root of a dihedral's length: where atoms are missing, cos and sin are 0


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Cosine and sine (..., 2) of the dihedral angle about b-c, positions (..., 3); IUPAC's sign."""
    first, axis, last = b - a, c - b, d - c
    left, right = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    both = torch.stack([(left * right).sum(-1), axis.norm(dim=-1) * (first * right).sum(-1)], dim=-1)
    return both / (both.square().sum(-1, keepdim=True) + SQUARE_FLOOR).sqrt()


def residue_features(coordinates: Tensor, mask: Tensor, residue_index: Tensor) -> Tensor:
    """What a residue's structure is like; the same under rigid motion.

    Args:
        coordinates: N, CA, C, O (b, L, 4, 3) in Angstrom, 0 where unresolved.
        mask: (b, L), 1 for resolved residues.
        residue_index: (b, L) int64; the angles of residues that do not follow each other are 0.

    Returns:
        (b, L, 8): cos and sin of phi, psi and omega (of the bond to the next residue), virtual CBs within 10 Angstrom
        in units of 16, and the mask. All 0 for unresolved residues.
    """
    n, ca, c, _ = coordinates.unbind(-2)
    bond = mask[:, :-1] * mask[:, 1:] * (residue_index.diff(dim=1) == 1)
    phi = dihedral(c[:, :-1], n[:, 1:], ca[:, 1:], c[:, 1:]) * bond[..., None]
    psi = dihedral(n[:, :-1], ca[:, :-1], c[:, :-1], n[:, 1:]) * bond[..., None]
    omega = dihedral(ca[:, :-1], c[:, :-1], n[:, 1:], ca[:, 1:]) * bond[..., None]
    angles = [F.pad(phi, (0, 0, 1, 0)), F.pad(psi, (0, 0, 0, 1)), F.pad(omega, (0, 0, 0, 1))]
    cb = with_virtual_cb(coordinates)[:, :, 4]
    near = (cb[:, :, None] - cb[:, None]).square().sum(-1) < SHELL**2
    crowd = ((near * mask[:, None]).sum(-1) - 1) * mask / CROWD
    return torch.cat([*angles, crowd[..., None], mask[..., None]], dim=-1)


def pair_classes(coordinates: Tensor, mask: Tensor, residue_index: Tensor, chain: Tensor) -> tuple[Tensor, Tensor]:
    """What a pair of residues is like, as two classes.

    Args:
        coordinates: as of `residue_features`.
        mask: as of `residue_features`.
        residue_index: as of `residue_features`.
        chain: (b, L) int64.

    Returns:
        (b, L, L) int64, the CA distance in whole Angstrom, 24 for all beyond and 25 where one is not resolved; and
        (b, L, L) int64, the offset along the chain as in `backbone_features.positional_classes`.
    """
    ca = coordinates[:, :, 1]
    distances = (ca[:, :, None] - ca[:, None]).square().sum(-1).sqrt().long().clamp(max=FAR)
    both = (mask[:, :, None] * mask[:, None]) > 0
    offsets = (residue_index[:, :, None] - residue_index[:, None] + REACH).clamp(0, 2 * REACH)
    same = chain[:, :, None] == chain[:, None]
    return torch.where(both, distances, NOWHERE), torch.where(same, offsets, OTHER_CHAIN)


def masked_at_random(tokens: Tensor, share: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Replace a share (b, 1) of the tokens (b, L) of each chain, on average, by the mask token.

    Returns:
        The new tokens, and (b, L) bool: where one of the twenty amino acids is hidden. X is never hidden.
    """
    hidden = (draws.uniform(generator, *tokens.shape) < share) & (tokens < LETTERS)
    return tokens.masked_fill(hidden, MASK), hidden


class Neighbours(nn.Module):
    """Adds what a residue makes of itself and the two beside it: most of what a sequence says, found by training early.

    Without it attention has to learn to look at neighbours first, which costs most of a short training.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.widen, self.narrow = nn.Linear(3 * dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, residue_index: Tensor) -> Tensor:
        """(b, L, dim) -> the same; residues that do not follow each other do not see each other."""
        follows = (residue_index.diff(dim=1) == 1)[..., None]
        before, after = F.pad(x[:, :-1] * follows, (0, 0, 1, 0)), F.pad(x[:, 1:] * follows, (0, 0, 0, 1))
        added: Tensor = self.narrow(F.gelu(self.widen(torch.cat([before, x, after], dim=-1))))
        return x + added


class Layer(nn.Module):
    """Attention with a bias per pair and head, then two linear layers; each after a layer norm, added to its input."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.widen, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """(b, L, dim) and bias (b, heads, L, L) -> the new (b, L, dim), and the scores before the softmax."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2) + bias
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.norm2(x)))), scores


class MaskedResidues(nn.Module):
    """Tokens and backbone of a chain -> hidden states, and from these the logits of the amino acids.

    A padded chain gets what it gets alone. Call `initialise` or load a state dict.

    Args:
        dim: of hidden states, a multiple of `heads`.
        layers: at least 1.
        heads: of attention.
    """

    def __init__(self, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(VOCABULARY, dim)
        self.structure = nn.Linear(FEATURES, dim)
        self.neighbours = Neighbours(dim)
        self.distance = nn.Embedding(NOWHERE + 1, layers * heads)
        self.position = nn.Embedding(OTHER_CHAIN + 1, layers * heads)
        self.layers = nn.ModuleList(Layer(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, LETTERS)

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name: weights Xavier-uniform, biases 0, norms the identity."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                xavier_uniform(parameter, generator_for(name))
            else:
                fill(parameter, 1.0 if name.endswith("weight") else 0.0)

    def forward(
        self,
        coordinates: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        chain: Tensor,
        tokens: Tensor,
        scores: list[Tensor] | None = None,
    ) -> list[Tensor]:
        """Hidden states (b, L, dim) before the first layer and after each; the last ones are normalised.

        Args:
            coordinates: N, CA, C, O (b, L, 4, 3) in Angstrom, 0 where unresolved.
            mask: (b, L), 1 for resolved residues.
            residue_index: (b, L) int64.
            chain: (b, L) int64, 0 on padding.
            tokens: (b, L) int64, 21 where masked.
            scores: gets the scores (b, heads, L, L) of every layer, before the softmax, -inf at padding.
        """
        distances, offsets = pair_classes(coordinates, mask, residue_index, chain)
        bias = self.distance(distances) + self.position(offsets)
        bias = bias.masked_fill((chain == 0)[:, None, :, None], -math.inf).permute(0, 3, 1, 2)
        x = self.letters(tokens) + self.structure(residue_features(coordinates, mask, residue_index))
        x = self.neighbours(x, residue_index)
        states = [x]
        for layer, own in zip(self.layers, bias.chunk(len(self.layers), 1), strict=True):
            x, score = layer(x, own)
            states.append(x)
            if scores is not None:
                scores.append(score)
        states[-1] = self.norm(x)
        return states

    def attention(self, **chains: Tensor) -> Tensor:
        """Attention maps (b, L, L, layers * heads) of what `forward` takes, -inf at padding.

        They are logarithms, relative to attention that goes to all residues of the chains alike: log(L a).
        """
        scores: list[Tensor] = []
        self(**chains, scores=scores)
        residues = (chains["chain"] > 0).sum(1)
        return (torch.cat(scores, 1).log_softmax(-1) + residues.log()[:, None, None, None]).permute(0, 2, 3, 1)
