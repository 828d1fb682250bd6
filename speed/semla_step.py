"""A training step of Semla: forward and backward, against its parts as the reference computes them.

Four variants of one network on one batch, with equal weights, in interleaved blocks on one thread (ours, other, ours,
other, ...): the equivariant MLP with its P x P outer product; messages that concatenate [receiver | sender | dot
products | edge] for every pair; unit vectors of all pairs; and all three. Before it is timed, each is checked to
predict what ours predicts, and to have its gradients, up to rounding. The figures are the median ratios of CPU seconds
per block, and their ranges.

    python speed/semla_step.py [--pairs 9] [--steps 4] [--batch 32] [--atoms 18] [--width 64] [--layers 6] ...
"""

import argparse
import os
import statistics
import time
from copy import deepcopy

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F
from torch import Tensor

from reedbench.core import seeds
from reedbench.nn.backbones.semla import Semla
from reedbench.nn.backbones.semla_layers import (
    EPS,
    Atoms,
    BondRefine,
    CoordAttention,
    EdgeMessages,
    EquivariantMLP,
    attention,
)

TOKENS, BONDS = 18, 5
ROUNDING = 1e-9  # largest difference allowed
Batch = tuple[Tensor, ...]  # coordinates, types, bonds, times, mask


class OuterProduct(EquivariantMLP):
    """Every projected set times every weight, then the sum."""

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """(b, N, d) and (b, S, N, 3) -> (b, S, N, 3)."""
        a, q = self.node_proj(h), self.coord_proj(c.permute(0, 2, 3, 1))
        outer = a[:, :, None, :, None] * q[..., None, :]  # (b, N, 3, P, P)
        return self.attn_proj(outer.sum(-1)).permute(0, 3, 1, 2)


def concatenated(h: Tensor, *pairs: Tensor) -> Tensor:
    """[receiver | sender | pairs] of features (b, N, c) and of tensors (b, N, N, ...)."""
    n = h.shape[1]
    receiver, sender = h[:, :, None].expand(-1, -1, n, -1), h[:, None].expand(-1, n, -1, -1)
    return torch.cat([receiver, sender, *pairs], dim=-1)


class ConcatenatedMessages(EdgeMessages):
    """One matrix for all inputs of a pair."""

    def forward(self, centred: Tensor, h: Tensor, atoms: Atoms, edges: Tensor | None = None) -> Tensor:
        """As `EdgeMessages`."""
        c = self.coord_norm(centred, atoms)
        pairs = [(c @ c.mT).permute(0, 2, 3, 1), *([] if edges is None else [self.edge_norm(edges)])]
        messages: Tensor = self.message_mlp(concatenated(self.node_proj(self.node_norm(h)), *pairs))
        return messages.permute(0, 3, 1, 2)


class ConcatenatedRefine(BondRefine):
    """One matrix for all inputs of a pair."""

    def forward(self, centred: Tensor, h: Tensor, edges: Tensor, atoms: Atoms) -> Tensor:
        """As `BondRefine`."""
        c = self.coord_norm(centred, atoms)[:, 0]
        apart = (c[:, :, None] - c[:, None]).square().sum(-1, keepdim=True)
        pairs = (apart, (c @ c.mT)[..., None], self.edge_norm(edges))
        refined: Tensor = self.message_mlp(concatenated(self.node_proj(self.node_norm(h)), *pairs))
        return refined


class UnitVectors(CoordAttention):
    """A unit vector for every pair and set."""

    def forward(self, centred: Tensor, messages: Tensor, atoms: Atoms) -> Tensor:
        """As `CoordAttention`."""
        weights, norm = attention(messages, atoms)
        p = self.coord_proj(self.coord_norm(centred, atoms).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        apart = p[:, :, :, None] - p[:, :, None]
        units = apart / (torch.linalg.vector_norm(apart, dim=-1, keepdim=True) + EPS)
        moved = (weights[..., None] * units).sum(3) * norm
        return self.attn_proj(moved.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


MLP = {EquivariantMLP: OuterProduct}
MESSAGES = {EdgeMessages: ConcatenatedMessages, BondRefine: ConcatenatedRefine}
UNITS = {CoordAttention: UnitVectors}
VARIANTS = {
    "outer product": MLP,
    "concatenated messages": MESSAGES,
    "unit vectors": UNITS,
    "all three": {**MLP, **MESSAGES, **UNITS},
}


def variant(network: Semla, parts: dict[type, type]) -> Semla:
    """A copy with some layers computed otherwise."""
    other = deepcopy(network)
    for layer in other.modules():
        layer.__class__ = parts.get(type(layer), type(layer))
    return other


def molecules(b: int, n: int) -> Batch:
    """A batch of random molecules of between n / 2 and n atoms."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(n // 2, n + 1, (b,), generator=generator).index_fill(0, torch.tensor([0]), n)
    mask = (torch.arange(n) < counts[:, None]).float()
    types = F.one_hot(torch.randint(TOKENS, (b, n), generator=generator), TOKENS) * mask[..., None]
    bonds = F.one_hot(torch.randint(BONDS, (b, n, n), generator=generator), BONDS).float()
    return (
        torch.randn(b, n, 3, generator=generator) * mask[..., None],
        types,
        bonds,
        torch.rand(b, generator=generator),
        mask,
    )


def predict(network: Semla, batch: Batch) -> list[Tensor]:
    """Forward and backward; what was predicted."""
    coordinates, types, bonds, _, _ = batch
    found, _ = network(*batch)
    loss = (found.coordinates - coordinates).square().mean() + found.charges.logsumexp(-1).mean()
    loss = loss + F.cross_entropy(found.types.flatten(0, 1), types.flatten(0, 1).argmax(-1))
    loss = loss + F.cross_entropy(found.bonds.flatten(0, 2), bonds.flatten(0, 2).argmax(-1))
    network.zero_grad(set_to_none=True)
    loss.backward()
    return [x.detach() for x in found]


def deviation(one: Semla, other: Semla, batch: Batch) -> float:
    """Largest difference of predictions and gradients in float64, in units of the largest of them."""
    doubled, results = tuple(x.double() for x in batch), []
    for network in (one, other):
        copy = deepcopy(network).double()
        found = predict(copy, doubled)
        results.append(torch.cat([x.flatten() for x in (*found, *(p.grad for p in copy.parameters()))]))
    return float((results[0] - results[1]).abs().max() / results[0].abs().max())


def cpu_seconds(network: Semla, batch: Batch, steps: int) -> float:
    """CPU seconds of some steps."""
    began = time.process_time()
    for _ in range(steps):
        predict(network, batch)
    return time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="blocks of each")
    parser.add_argument("--steps", type=int, default=4, help="steps per block")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--atoms", type=int, default=18)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--sets", type=int, default=16)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--message", type=int, default=32, help="width of messages and of edges")
    given = parser.parse_args()
    torch.set_num_threads(1)
    ours = Semla(
        tokens=TOKENS, bonds=BONDS, width=given.width, layers=given.layers, sets=given.sets, heads=given.heads,
        message=given.message, message_hidden=given.message, edge=given.message,
    )  # fmt: skip
    ours.initialise(lambda name: seeds.stream("init", "speed", name))
    batch = molecules(given.batch, given.atoms)
    for name, parts in VARIANTS.items():
        other = variant(ours, parts)
        if (far := deviation(ours, other, batch)) > ROUNDING:
            raise SystemExit(f"{name}: predictions or gradients differ by {far:.1e}")
        pairs = [
            (cpu_seconds(other, batch, given.steps), cpu_seconds(ours, batch, given.steps)) for _ in range(given.pairs)
        ]
        ratios = sorted(a / b for a, b in pairs)
        theirs, own = (1000 * statistics.median(column) / given.steps for column in zip(*pairs, strict=True))
        print(
            f"{name}: {theirs:.1f} ms/step, ours {own:.1f}; ratio median {statistics.median(ratios):.2f}, "
            f"{ratios[0]:.2f} .. {ratios[-1]:.2f} (of {len(ratios)}); deviation {far:.0e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
