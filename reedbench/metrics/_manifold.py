"""Precision and recall come from one computation, shared here. Kynkaanniemi et al. 2019, arXiv:1904.06991.

The formulas are torch-fidelity's `prc_features_to_metric` to the last bit (tests compare); see `fd`.
"""

from functools import lru_cache
from typing import Any

from reedbench.metrics import Features

BATCH = 10_000  # rows whose distances are computed at once, as in torch-fidelity


@lru_cache(maxsize=8)
def precision_recall(generated: Features, reference: Features, neighbours: int) -> tuple[float, float]:
    """Share of samples inside the reference manifold, and of the reference inside the samples' manifold."""
    apart = _distances(reference, generated)
    recall = (apart <= _radii(generated, neighbours)).any(dim=1)
    precision = (apart.T <= _radii(reference, neighbours)).any(dim=1)
    return precision.float().mean().item(), recall.float().mean().item()


@lru_cache(maxsize=8)  # streams of samples share a reference
def _radii(data: Features, neighbours: int) -> Any:
    """Distance from every row to its k-th neighbour, itself not counted."""
    return _distances(data, data).kthvalue(neighbours + 1).values


def _distances(one: Features, other: Features) -> Any:
    import torch

    rows, columns = (torch.from_numpy(data.features).split(BATCH) for data in (one, other))
    return torch.cat([torch.cat([torch.cdist(a, b) for b in columns], dim=1) for a in rows])
