"""Metrics of many rows in blocks, so that memory does not grow with the square of n, or with n at all.

What is computed at once, because it is small, stays computed at once: sums in another order move the last digits.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from reedbench.core import archives
from reedbench.metrics import Features

if TYPE_CHECKING:
    from torch import Tensor

FEW = 4096
"""Rows up to which all distances are computed at once."""
ROWS = {"cpu": 1024, "cuda": 8192}
"""Rows whose distances to a block of others are in memory together."""


def few(*data: Features) -> bool:
    """Whether there are so few rows that all distances fit."""
    return max(map(len, data)) <= FEW


def moments(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (dim,) and covariance (dim, dim) with n - 1 of rows (n, dim) float64."""
    if array.nbytes <= archives.PASS:
        whole = np.asarray(array)
        return whole.mean(0), np.cov(whole, rowvar=False)
    mean = sum(block.sum(0) for block in archives.blocks(array)) / len(array)
    scatter = sum(centred.T @ centred for centred in (block - mean for block in archives.blocks(array)))
    return mean, scatter / (len(array) - 1)


def distances(points: Features, centres: Features) -> "Tensor":
    """(points, centres) distances of few rows, all at once; float64."""
    import torch

    return torch.cdist(*(torch.from_numpy(taken(data.features, slice(None))) for data in (points, centres)))


def smallest(points: Features, centres: Features, k: int) -> "Iterator[Tensor]":
    """Block by block, the distances (rows, k) of points to their k nearest centres, nearest first; float64."""
    import torch

    for rows in _on(points):
        best = rows.new_empty(len(rows), 0)
        for others in _on(centres):
            best = torch.cat([best, torch.cdist(rows, others)], 1)
            best = best.topk(min(k, best.shape[1]), largest=False).values
        yield best


def inside(points: Features, centres: Features, radii: "Tensor") -> float:
    """Share of points that lie in the ball of some centre."""
    import torch

    found = 0
    for rows in _on(points):
        hit, begin = torch.zeros(len(rows), dtype=torch.bool, device=rows.device), 0
        for others in _on(centres):
            hit |= (torch.cdist(rows, others) <= radii[begin : begin + len(others)]).any(1)
            begin += len(others)
        found += int(hit.sum())
    return found / len(points)


def _on(data: Features) -> "Iterator[Tensor]":
    import torch

    for block in archives.blocks(data.features, ROWS[data.device]):
        yield torch.from_numpy(block).to(data.device)


def taken(array: np.ndarray, rows: Any) -> np.ndarray:
    """Some rows, in memory."""
    found = np.array(array[rows], copy=isinstance(rows, slice))  # an index has made a copy
    archives.release(array)
    return found
