"""Message passing between all atoms of a molecule, equivariant under motions and mirroring: the layers of Semla.

Source: Irwin et al. 2024, arXiv:2406.07266 (SemlaFlow), semlaflow/models/semla.py @2f41e57; REED, arXiv:2507.08980,
molecule/semlaflow/flowmodels/semla.py @0a4527e. State-dict keys as there.

Shapes: invariant features of atoms `h` (b, N, d), sets of coordinates `c` (b, S, N, 3), edges (b, N, N, E), messages
(b, channels, N, N) with receivers before senders. The reference concatenates [receiver | sender | pair] for every pair
before the first matrix; here each part of the matrix works where its input lives: the same function.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["length", "gvp", "none"]
EPS: Final = 1e-6  # added to lengths that are divided by


@dataclass(frozen=True)
class Atoms:
    """Which atoms of a batch are real.

    Attributes:
        mask: (b, 1, N, 1), 1 for real atoms.
        count: (b, 1, 1, 1), real atoms, at least 1.
        unheard: (b, 1, N, N), what is added before a softmax over senders: 0 or -inf, see `unheard`.
    """

    mask: Tensor
    count: Tensor
    unheard: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> "Atoms":
        """Of a mask (b, N) of floats."""
        return cls(mask[:, None, :, None], mask.sum(1).clamp(min=1)[:, None, None, None], unheard(mask)[:, None])

    def centred(self, c: Tensor) -> Tensor:
        """Coordinates (b, S, N, 3) around the mean of real atoms, and 0 on padding."""
        real = c * self.mask
        return torch.addcmul(real, real.sum(2, keepdim=True) / self.count, self.mask, value=-1)


def unheard(mask: Tensor) -> Tensor:
    """What is added to messages before the softmax: 0 for senders that are heard, -inf for others.

    A real atom hears all other real atoms; one that is alone hears itself, so that padding changes nothing. Padding
    hears everything, as in the reference: nothing depends on it but sums that count it in.

    Args:
        mask: (b, N), 1 for real atoms.

    Returns:
        (b, N, N).
    """
    real = mask > 0
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    others = real[:, :, None] & real[:, None, :] & ~itself
    alone = itself & ~others.any(-1, keepdim=True)
    heard = others | alone | ~real[:, :, None]
    return torch.zeros_like(heard, dtype=mask.dtype).masked_fill_(~heard, -torch.inf)


def mapped(weight: Tensor, x: Tensor) -> Tensor:
    """A matrix (o, c) on the channels of x (b, c, ...) -> (b, o, ...)."""
    return torch.bmm(weight.expand(len(x), -1, -1), x.flatten(2)).unflatten(2, x.shape[2:])


class CoordNorm(nn.Module):
    """Coordinates around their mean, with a length of their own per set.

    Args:
        sets: S.
        norm: `length` divides each set by the mean distance of real atoms from the middle; `gvp` gives every atom of
            every set the distance sqrt(S); `none` does neither.
    """

    def __init__(self, sets: int, norm: Norm) -> None:
        super().__init__()
        self.norm: Norm = norm
        self.set_weights = nn.Parameter(torch.ones(1, sets, 1, 1))

    def forward(self, centred: Tensor, atoms: Atoms) -> Tensor:
        """(b, S, N, 3), as `Atoms.centred` gives them -> the same."""
        if self.norm == "none":
            return centred * self.set_weights
        lengths = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        if self.norm == "length":
            return centred * (self.set_weights / (lengths.sum(2, keepdim=True) / atoms.count + EPS))
        return centred * (self.set_weights * centred.shape[1] ** 0.5 / (lengths + EPS))


class InvariantMLP(nn.Module):
    """From features and lengths of coordinates to a change of the features."""

    def __init__(self, width: int, sets: int, hidden: int) -> None:
        super().__init__()
        self.node_ff = nn.Sequential(nn.Linear(width + sets, hidden), nn.SiLU(), nn.Linear(hidden, width))

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """(b, N, d) and (b, S, N, 3) -> (b, N, d)."""
        return self.node_ff(torch.cat([h, torch.linalg.vector_norm(c, dim=-1).mT], dim=-1))


class EquivariantMLP(nn.Module):
    """From features and coordinates to a change of the coordinates.

    Every one of P projected sets, weighted by the features, is multiplied with every other, summed over one axis and
    projected back. The sum leaves the sum of all projected sets, times the weights: so nothing of size P x P is made,
    and the change of an atom is one vector, scaled for every set.
    """

    def __init__(self, width: int, sets: int, projected: int) -> None:
        super().__init__()
        self.node_proj = nn.Sequential(nn.Linear(width, projected), nn.SiLU(), nn.Linear(projected, projected))
        self.coord_proj = nn.Linear(sets, projected, bias=False)
        self.attn_proj = nn.Linear(projected, sets, bias=False)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """(b, N, d) and (b, S, N, 3) -> (b, S, N, 3)."""
        direction = mapped(self.coord_proj.weight.sum(0, keepdim=True), c)
        return self.attn_proj(self.node_proj(h)).mT[..., None] * direction


class NodeFeedForward(nn.Module):
    """What changes atoms one by one.

    Args:
        width: d.
        sets: S.
        projected: P, sets of coordinates in between.
        norm: of the coordinates.
        hidden: width of the features in between; 4 d if not given.
    """

    def __init__(self, width: int, sets: int, projected: int, norm: Norm = "length", hidden: int | None = None) -> None:
        super().__init__()
        self.node_norm = nn.LayerNorm(width)
        self.coord_norm = CoordNorm(sets, norm)
        self.invariant_mlp = InvariantMLP(width, sets, hidden or 4 * width)
        self.equivariant_mlp = EquivariantMLP(width, sets, projected)

    def forward(self, c: Tensor, h: Tensor, atoms: Atoms) -> tuple[Tensor, Tensor]:
        """Changes of coordinates (b, S, N, 3) and of features (b, N, d)."""
        h, c = self.node_norm(h), self.coord_norm(atoms.centred(c), atoms)
        return self.equivariant_mlp(h, c), self.invariant_mlp(h, c)


class EdgeMessages(nn.Module):
    """Messages between all pairs of atoms, from their features, dot products of their coordinates, and edges.

    Args:
        width: d.
        projected: width of the features in a message.
        sets: S.
        out: channels of a message.
        hidden: channels in between.
        edges: E, width of the edges; 0: it sees none.
    """

    def __init__(self, width: int, projected: int, sets: int, out: int, hidden: int, edges: int = 0) -> None:
        super().__init__()
        self.inputs = [projected, projected, sets, *([edges] if edges else [])]
        self.coord_norm = CoordNorm(sets, "none")
        self.node_norm = nn.LayerNorm(width)
        self.node_proj = nn.Linear(width, projected)
        if edges:
            self.edge_norm = nn.LayerNorm(edges)
        self.message_mlp = nn.Sequential(nn.Linear(sum(self.inputs), hidden), nn.SiLU(), nn.Linear(hidden, out))

    def forward(self, centred: Tensor, h: Tensor, atoms: Atoms, edges: Tensor | None = None) -> Tensor:
        """Coordinates (b, S, N, 3), features (b, N, d), edges (b, N, N, E) -> (b, out, N, N)."""
        first, _, last = self.message_mlp
        receiver, sender, pair, *edge = first.weight.split(self.inputs, dim=1)
        c, h = self.coord_norm(centred, atoms), self.node_proj(self.node_norm(h)).mT
        x = mapped(sender, h)[:, :, None] + (mapped(receiver, h) + first.bias[:, None])[..., None]
        shape, x = x.shape, x.flatten(2)
        x = torch.baddbmm(x, pair.expand(len(x), -1, -1), (c @ c.mT).flatten(2))
        if edges is not None:
            x = torch.baddbmm(x, edge[0].expand(len(x), -1, -1), self.edge_norm(edges).flatten(1, 2).mT)
        x = torch.baddbmm(last.bias[:, None], last.weight.expand(len(x), -1, -1), F.silu(x))
        return x.unflatten(2, shape[2:])


def attention(messages: Tensor, atoms: Atoms) -> tuple[Tensor, Tensor]:
    """Weights of senders from messages (b, channels, N, N), and their norm (b, channels, N, 1).

    Sums over senders are multiplied with that norm, as in the reference: it is smaller the more of them share the
    weight.
    """
    weights = (messages + atoms.unheard).softmax(-1)
    return weights, torch.linalg.vector_norm(weights, dim=-1, keepdim=True)


class NodeAttention(nn.Module):
    """Features of senders, weighted by messages, one channel per head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.feat_norm = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, h: Tensor, messages: Tensor, atoms: Atoms) -> Tensor:
        """Features (b, N, d) and messages (b, heads, N, N) -> change (b, N, d)."""
        weights, norm = attention(messages, atoms)
        values = self.in_proj(self.feat_norm(h)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return self.out_proj((weights @ values * norm).transpose(1, 2).flatten(2))


class Distances(torch.autograd.Function):
    """Distances between all pairs of places, whose gradient is two products instead of a vector for every pair.

    `torch.cdist` gives the same; on GPUs it spends a block of threads on three numbers.
    """

    @staticmethod
    def forward(ctx: Any, p: Tensor) -> Tensor:
        """(..., N, 3) -> (..., N, N)."""
        # Not through a matrix product, which loses short distances to rounding.
        x, y, z = ((x[..., :, None] - x[..., None, :]).square_() for x in p.unbind(-1))
        distances = x.add_(y).add_(z).sqrt_()
        ctx.save_for_backward(p, distances)
        return distances

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """That of places; places on top of each other do not pull."""
        p, distances = ctx.saved_tensors
        pull = (gradient / distances).masked_fill_(distances == 0, 0.0)
        pull = pull + pull.mT
        return p * pull.sum(-1, keepdim=True) - pull @ p


class CoordAttention(nn.Module):
    """Unit vectors from senders to receivers, weighted by messages, one channel per set."""

    def __init__(self, sets: int, norm: Norm = "length") -> None:
        super().__init__()
        self.coord_norm = CoordNorm(sets, norm)
        self.coord_proj = nn.Linear(sets, sets, bias=False)
        self.attn_proj = nn.Linear(sets, sets, bias=False)

    def forward(self, centred: Tensor, messages: Tensor, atoms: Atoms) -> Tensor:
        """Coordinates (b, S, N, 3) and messages (b, S, N, N) -> change (b, S, N, 3)."""
        weights, norm = attention(messages, atoms)
        p = mapped(self.coord_proj.weight, self.coord_norm(centred, atoms)).to(centred.dtype)  # not in half precision
        weights = weights / (Distances.apply(p) + EPS)
        moved = p * weights.sum(-1, keepdim=True) - weights @ p
        return mapped(self.attn_proj.weight, moved * norm)


class MessageLayer(nn.Module):
    """One layer: atoms one by one, then messages to features and to coordinates.

    Args:
        width: d.
        sets: S.
        heads: of the attention over features.
        message: width of features in messages, and of projected sets of coordinates.
        hidden: channels of messages in between; 0: as many as they have in the end.
        edges_in: width of the edges that it sees; 0: none.
        edges_out: width of the edges that it makes; 0: none.
        norm: of coordinates.
    """

    def __init__(
        self,
        width: int,
        sets: int,
        heads: int,
        message: int,
        hidden: int,
        *,
        edges_in: int = 0,
        edges_out: int = 0,
        norm: Norm = "length",
    ) -> None:
        super().__init__()
        self.channels = [heads, sets, edges_out]
        out = sum(self.channels)
        self.node_ff = NodeFeedForward(width, sets, message, norm)
        self.message_ff = EdgeMessages(width, message, sets, out, hidden or out, edges_in)
        self.coord_attn = CoordAttention(sets, norm)
        self.node_attn = NodeAttention(width, heads)

    def forward(self, c: Tensor, h: Tensor, atoms: Atoms, edges: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates, features, and edges that it sees -> coordinates, features, and edges (b, N, N, edges_out)."""
        dc, dh = self.node_ff(c, h, atoms)
        c, h = c + dc, h + dh
        centred = atoms.centred(c)
        of_nodes, of_sets, made = self.message_ff(centred, h, atoms, edges).split(self.channels, dim=1)
        h = h + self.node_attn(h, of_nodes, atoms)
        c = c + self.coord_attn(centred, of_sets, atoms)
        return c, h, made.permute(0, 2, 3, 1)


class BondRefine(nn.Module):
    """Edges anew, from features, from distances and dot products of predicted coordinates, and from edges.

    Args:
        width: d.
        message: width of features in between.
        edges: E.
    """

    def __init__(self, width: int, message: int, edges: int) -> None:
        super().__init__()
        self.inputs = [message, message, 2, edges]
        self.coord_norm = CoordNorm(1, "none")
        self.node_norm = nn.LayerNorm(width)
        self.edge_norm = nn.LayerNorm(edges)
        self.node_proj = nn.Linear(width, message)
        self.message_mlp = nn.Sequential(nn.Linear(sum(self.inputs), message), nn.SiLU(), nn.Linear(message, edges))

    def forward(self, centred: Tensor, h: Tensor, edges: Tensor, atoms: Atoms) -> Tensor:
        """Coordinates (b, 1, N, 3), features (b, N, d) and edges (b, N, N, E) -> (b, N, N, E)."""
        first, activation, last = self.message_mlp
        receiver, sender, pair, edge = first.weight.split(self.inputs, dim=1)
        c, h = self.coord_norm(centred, atoms)[:, 0], self.node_proj(self.node_norm(h))
        apart = (c[:, :, None] - c[:, None]).square().sum(-1)
        x = F.linear(self.edge_norm(edges), edge) + F.linear(torch.stack([apart, c @ c.mT], dim=-1), pair)
        x = x + F.linear(h, receiver, first.bias)[:, :, None] + F.linear(h, sender)[:, None]
        return last(activation(x))
