"""Uni-Mol: a transformer over the atoms of a molecule whose attention is biased by their distances, and REED's global
vector on top of it.

Parameters have the names of the public checkpoints, so that these load. Source: Zhou et al., Uni-Mol, ICLR 2023,
https://openreview.net/forum?id=6K2RM6wVqKu, names of deepmodeling/Uni-Mol @124ca24 (MIT); REED, arXiv:2507.08980,
molecule/models/unimol/unimol/models/unimol_global.py and molecule/semlaflow/encoders.py @0a4527e.
"""

import math
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn import draws
from reedbench.nn.initialisation import GeneratorFor, as_torch_does, fill, normal

Pooling = Literal["masked", "reference"]

PADDING, START, END, UNDECIDED = range(4)  # [PAD], [CLS], [SEP] and [UNK]; after them come the elements
FIRST: Final = 4  # token of the first element
ELEMENTS: Final = (
    6, 7, 8, 16, 1, 17, 9, 35, 53, 14, 15, 5, 11, 19, 13, 20, 50, 33, 80, 26, 30, 24, 34, 64, 79, 3,
    83,
)  # fmt: skip
"""Atomic numbers in the order of tokens: the 26 of Uni-Mol's mol.dict.txt, then Bi, which REED's dictionary has too."""
VOCABULARIES: Final = (31, 32)  # tokens of Uni-Mol and of REED, the last one being the mask
KERNELS: Final = 128  # gaussians of a distance, in all public checkpoints
PI: Final = 3.14159  # in the reference's density
BERT_STD: Final = 0.02
TALLEST: Final = 3.0  # first means and deviations of gaussians are U(0, 3)
EPS: Final = 1e-6  # of the deviation of a vector
FLOOR: Final = 1e-5  # of a gaussian's deviation


def known(vocabulary: int) -> tuple[int, ...]:
    """Atomic numbers that have a token, from token `FIRST` on; `vocabulary` counts the mask, which is the last one."""
    return ELEMENTS[: vocabulary - FIRST - 1]


def formatted(
    elements: Iterable[np.ndarray], coordinates: Iterable[np.ndarray], vocabulary: int
) -> tuple[Tensor, Tensor]:
    """Molecules as the network takes them: a token at the origin before the atoms and one after them.

    Args:
        elements: (atoms,) atomic numbers of each molecule, 0 where undecided; what is not `known` is [UNK].
        coordinates: (atoms, 3) of each, in Angstrom; they are centred here.
        vocabulary: number of tokens, one of `VOCABULARIES`.

    Returns:
        Tensors tokens (b, most atoms + 2) int64, 0 on padding, and coordinates (b, most atoms + 2, 3) float32.
    """
    table = np.full(256, UNDECIDED)
    table[list(known(vocabulary))] = np.arange(FIRST, vocabulary - 1)
    given = [(table[numbers], at) for numbers, at in zip(elements, coordinates, strict=True)]
    most = max(len(own) for own, _ in given) + 2
    tokens = np.full((len(given), most), PADDING, np.int64)
    places = np.zeros((len(given), most, 3), np.float32)
    for i, (own, at) in enumerate(given):
        tokens[i, : len(own) + 2] = [START, *own, END]
        places[i, 1 : len(own) + 1] = at - at.mean(0, dtype=np.float64)
    return torch.from_numpy(tokens), torch.from_numpy(places)


class Head(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inputs, inputs), nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        out: Tensor = self.linear2(F.gelu(self.linear1(x)))
        return out


class Gaussians(nn.Module):
    """Densities of a distance under gaussians, after an affine map that belongs to the two tokens."""

    def __init__(self, kernels: int, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.means, self.stds = nn.Embedding(1, kernels), nn.Embedding(1, kernels)
        self.mul, self.bias = nn.Embedding(vocabulary**2, 1), nn.Embedding(vocabulary**2, 1)

    def forward(self, distances: Tensor, tokens: Tensor) -> Tensor:
        """Distances (b, n, n) of tokens (b, n) -> (b, n, n, kernels); pairs with padding are all alike."""
        there = tokens != PADDING
        both = there[:, :, None] & there[:, None]
        pairs = (tokens[:, :, None] * self.vocabulary + tokens[:, None]) * both
        x = self.mul(pairs) * (distances * both)[..., None] + self.bias(pairs)
        std = self.stds.weight[0].abs() + FLOOR
        return torch.exp(-0.5 * ((x - self.means.weight[0]) / std).square()) / (math.sqrt(2 * PI) * std)


class Attention(nn.Module):
    """Attention with a bias for every pair and head, whose logits are given on."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj, self.out_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """(b, n, width), bias (b, heads, n, n), there (b, n) bool -> (b, n, width) and logits (b, heads, n, n)."""
        q, k, v = self.in_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
        share = logits.masked_fill(~there[:, None, None], -math.inf).softmax(-1)
        return self.out_proj((share @ v).transpose(1, 2).flatten(2)), logits


class Layer(nn.Module):
    """Attention, then two linear layers; each after a layer norm, added to its input."""

    def __init__(self, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor, bias: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """As `Attention`."""
        added, logits = self.self_attn(self.self_attn_layer_norm(x), bias, there)
        x = x + added
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))), logits


class Layers(nn.Module):
    """The layers, of which each takes the logits of the one before as its bias."""

    def __init__(self, layers: int, width: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.emb_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.final_head_layer_norm = nn.LayerNorm(heads)
        self.layers = nn.ModuleList(Layer(width, hidden, heads) for _ in range(layers))

    def forward(self, x: Tensor, bias: Tensor, there: Tensor) -> "Encoded":
        """Embedded tokens (b, n, width), the first bias (b, heads, n, n) and there (b, n) bool, which tokens are."""
        x = self.emb_layer_norm(x) * there[..., None]
        logits = bias
        for layer in self.layers:
            x, logits = layer(x, logits, there)
        return Encoded(x, self.final_layer_norm(x), bias, logits, there)


class Encoded(NamedTuple):
    """What the layers make of a batch.

    Attributes:
        raw: (b, n, width), after the last layer.
        states: (b, n, width), normalised; those of padding are no zeros.
        bias: (b, heads, n, n), before the first layer.
        logits: (b, heads, n, n), of the last layer: the representation of pairs.
        there: (b, n) bool, false on padding.
    """

    raw: Tensor
    states: Tensor
    bias: Tensor
    logits: Tensor
    there: Tensor

    def of_atoms(self) -> Tensor:
        """(b, width): the mean state of the atoms, those before and after them left out."""
        atoms = self.there.clone()
        atoms[:, 0] = False
        atoms.scatter_(1, self.there.sum(1, keepdim=True) - 1, False)
        return _mean(self.states, atoms)

    def of_all(self, pooling: Pooling) -> Tensor:
        """(b, width): the mean state of all tokens; with `reference` that of padding too (unimol_global.py:292)."""
        return self.states.mean(1) if pooling == "reference" else _mean(self.states, self.there)


def _mean(x: Tensor, there: Tensor) -> Tensor:
    return (x * there[..., None]).sum(1) / there.sum(1, keepdim=True).to(x)


def normalised(vectors: Tensor) -> Tensor:
    """(b, d) -> the same, every vector of mean 0 and unbiased deviation 1: REED's target."""
    return (vectors - vectors.mean(-1, keepdim=True)) / (vectors.std(-1, keepdim=True) + EPS)


def mlp(width: int) -> nn.Sequential:
    """Three linear layers with GELU between them."""
    widths = [(width, width)] * 3
    return nn.Sequential(*[part for a, b in widths for part in (nn.Linear(a, b), nn.GELU())][:-1])


class UniMol(nn.Module):
    """Tokens and coordinates -> states of tokens, and from these one vector per molecule.

    What it gives is the same under rotation, reflection and translation, and follows the order of atoms. Call
    `initialise` or load a state dict.

    Args:
        vocabulary: number of tokens, one of `VOCABULARIES`.
        layers: at least 1.
        width: of states, a multiple of `heads`.
        hidden: width between the two linear layers of a layer.
        heads: of attention.
        kernels: gaussians of a distance.
    """

    mlps = ("global_rep_head",)  # with first weights as torch has them

    def __init__(
        self, vocabulary: int, layers: int, width: int, hidden: int, heads: int, kernels: int = KERNELS
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.embed_tokens = nn.Embedding(vocabulary, width)
        self.encoder = Layers(layers, width, hidden, heads)
        self.gbf, self.gbf_proj = Gaussians(kernels, vocabulary), Head(kernels, heads)
        self.global_rep_head = mlp(width)

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name.

        Matrices are N(0, 0.02^2), biases 0, norms the identity, MLPs of the global vector as torch has them. Gaussians
        have U(0, 3) and the identity map, as the reference draws them before it overwrites them by N(0, 0.02^2) too.
        """
        for name, parameter in self.named_parameters():
            if name in ("gbf.means.weight", "gbf.stds.weight"):
                if not parameter.is_meta:
                    parameter.data.copy_(draws.uniform(generator_for(name), *parameter.shape) * TALLEST)
            elif name.startswith("gbf.") or parameter.ndim == 1:
                fill(parameter, 1.0 if name.endswith(("mul.weight", "norm.weight")) else 0.0)
            else:
                normal(parameter, BERT_STD, generator_for(name))
        for name in self.mlps:
            as_torch_does(self.get_submodule(name), lambda own, name=name: generator_for(f"{name}.{own}"))

    def forward(self, tokens: Tensor, coordinates: Tensor, added: Tensor | None = None) -> Encoded:
        """Molecules as of `formatted`.

        Args:
            tokens: (b, n) int64, 0 on padding.
            coordinates: (b, n, 3) in Angstrom.
            added: (b, width), to the embedding of every token.
        """
        bias = self.gbf_proj(self.gbf(distances(coordinates), tokens)).permute(0, 3, 1, 2)
        x = self.embed_tokens(tokens)
        encoded: Encoded = self.encoder(x if added is None else x + added[:, None], bias, tokens != PADDING)
        return encoded

    def whole(self, encoded: Encoded, pooling: Pooling) -> Tensor:
        """(b, width): the global vector, before it is `normalised`."""
        found: Tensor = self.global_rep_head(encoded.of_all(pooling))
        return found


def distances(coordinates: Tensor) -> Tensor:
    """(b, n, 3) -> (b, n, n)."""
    return (coordinates[:, :, None] - coordinates[:, None]).square().sum(-1).sqrt()
