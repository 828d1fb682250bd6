"""What designs for a pool cost: chains have lengths of their own, and each was looked at as often as it had changed."""

from collections.abc import Iterable
from typing import Any

import torch

from reedbench.domains import rows
from reedbench.nn import flops
from reedbench.nn.shapes_alone import shapes_alone
from reedbench.schema import fitting
from reedbench.schema.cells import Cell


def operations(pool: Cell) -> float:
    """Floating-point operations of the network for all designs of a pool, and for the scores of their native sequences.

    Padding, which depends on how chains share batches, is not counted.
    """
    benchmark, objective = pool.run.benchmark, pool.run.objective
    facts, samples = fitting.Facts(rows.index(benchmark.data)), benchmark.spec.codec.read(pool.samples)
    backbone = fitting.network(benchmark.spec.backbone, benchmark.spec.codec.shape(facts), facts)
    lengths = samples.arrays["tokens"].lengths.tolist()
    looks = (samples.arrays["evaluations"] + len(pool.drawer.scored_at)).tolist()
    each = costs(fitting.sampled(objective, backbone), lengths)
    return sum(each[n][0] + often * each[n][1] for n, often in zip(lengths, looks, strict=True))


def costs(network: Any, lengths: Iterable[int]) -> dict[int, tuple[float, float]]:
    """Of encoding a structure of each length, and of one look at its sequence; the network needs no values.

    From as many residues as each has neighbours on, all residues cost alike.
    """
    wanted = set(lengths)
    with shapes_alone(), torch.no_grad():
        network = network.to("cpu").requires_grad_(False).eval()
        counted = {n: _counted(network, n) for n in {min(n, network.neighbours) for n in wanted}}
    found = {}
    for n in wanted:
        of = min(n, network.neighbours)
        encoding, looking = counted[of]
        found[n] = (encoding * n / of, looking * n / of)
    return found


def _counted(network: Any, length: int) -> tuple[float, float]:
    chain = torch.ones(1, length, dtype=torch.int64)
    with flops.counter() as encoding:
        encoded = network.encode(torch.zeros(1, length, 4, 3), torch.ones(1, length), chain, chain)
    with flops.counter() as looking:
        network.decode(encoded, chain)
    return float(encoding.get_total_flops()), float(looking.get_total_flops())
