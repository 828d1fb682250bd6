"""What encoders of chains and molecules share: those of like length in one pass, and results put into row order.

What is called a chain of entries here is a chain of residues, or a molecule of atoms.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from reedbench.core import seeds
from reedbench.core.ragged import Ragged

MIXING = 0.1  # by how much a chain may be longer than its pass-fellows, so that passes differ each time


def passes(
    lengths: np.ndarray,
    most: int,
    *,
    pairs: bool = False,
    chains: int | None = None,
    order: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Divide chains into passes; every chain is in exactly one.

    Args:
        lengths: (n,) entries of each chain.
        most: padded entries of a pass; a longer chain is a pass of its own.
        pairs: `most` counts padded pairs of entries instead.
        chains: most chains of a pass.
        order: (n,) row numbers, of which each pass takes the next few; None: from the shortest chain to the longest.

    Returns:
        Row numbers of each pass.
    """
    found: list[list[int]] = []
    longest = 0
    for row in (np.argsort(lengths, kind="stable") if order is None else order).tolist():
        longest = max(longest, int(lengths[row]))
        padded = (len(found[-1]) + 1) * (longest**2 if pairs else longest) if found else 0
        if not found or padded > most or len(found[-1]) == chains:
            found.append([])
            longest = int(lengths[row])
        found[-1].append(row)
    return [np.array(rows, np.int64) for rows in found]


def batches(lengths: np.ndarray, most: int, chains: int, stream: str) -> Iterator[np.ndarray]:
    """Row numbers of batches of like length, for ever; every chain comes once before any comes again.

    Args:
        lengths: (n,) entries of each chain.
        most: padded pairs of entries of a batch.
        chains: most chains of a batch.
        stream: names the draws of their order.
    """
    epoch = 0
    while True:
        draws = seeds.stream(stream, epoch)
        order = np.argsort(lengths * (1 + MIXING * draws.random(len(lengths))), kind="stable")
        divided = passes(lengths, most, pairs=True, chains=chains, order=order)
        yield from (divided[i] for i in draws.permutation(len(divided)))
        epoch += 1


def on_device_of(network: Any, tensor: Any) -> Any:
    """A tensor where the parameters of a network are."""
    return tensor.to(next(network.parameters()).device)


def collected(lengths: np.ndarray, found: Iterable[tuple[int, np.ndarray]]) -> Ragged:
    """Results of single rows, in any order, as float32 rows (length, dim) in row order.

    They are written in place: pairs of entries are too many to be held twice.
    """
    starts, values = np.concatenate([[0], np.cumsum(lengths)]), None
    for row, result in found:
        flat = result.reshape(-1, result.shape[-1])
        if values is None:
            values = np.empty((starts[-1], flat.shape[1]), np.float32)
        values[starts[row] : starts[row + 1]] = flat
    assert values is not None, "a data set has training rows"
    return Ragged(values, lengths)
