"""Coupling of noise to data: which point of the noise goes to which atom, and how the noise is turned.

Source: equivariant flow matching, arXiv:2306.15030, as SemlaFlow has it (REED molecule/semlaflow/data/
interpolate.py:205-290 @0a4527e): Hungarian assignment, then Kabsch's rotation, once.
"""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from reedbench.nn.parts import Entries, centred

Coupling = Literal["none", "equivariant"]
Prior = Literal["centred", "reference"]


def points(numbers: Entries, mask: Tensor, kind: Prior = "centred") -> Tensor:
    """Normal noise for the places of each row's atoms, (b, N, 3), 0 where there is none.

    Args:
        numbers: of the atoms.
        mask: (b, N), 1 where an atom is.
        kind: `centred` at the mean of the row's own atoms, or as in the `reference` (interpolate.py:214,263), which
            draws, and centres, as many points as the batch is long and then leaves out those that are too many: what
            is left is not centred, and depends on the length of the batch.
    """
    if kind == "centred":
        return centred(numbers.normal(3), mask)
    everywhere = torch.ones_like(mask)
    return centred(Entries(numbers.running, everywhere).normal(3), everywhere) * mask[..., None]


def coupled(x_0: Tensor, x_1: Tensor, mask: Tensor) -> Tensor:
    """The same noise in the order, and turned by the rotation, that bring it near to the data.

    Atoms are assigned so that the sum of their squared distances is least; then the noise is turned about the origin
    by the proper rotation that makes it least again. Each row is treated on its own, in float64.

    Args:
        x_0: noise (b, N, 3).
        x_1: data (b, N, 3).
        mask: (b, N), 1 where an atom is, the first ones of a row.

    Returns:
        (b, N, 3) in the dtype of x_0, 0 where there is no atom.
    """
    source, data = (x.double().cpu().numpy() for x in (x_0, x_1))
    order = np.tile(np.arange(source.shape[1]), (len(source), 1))
    for row, n in enumerate(mask.sum(1).long().tolist()):
        order[row, :n] = assignment(source[row, :n], data[row, :n])
    near = torch.from_numpy(np.take_along_axis(source, order[..., None], 1)) * mask.cpu().double()[..., None]
    turned = near @ rotations(near, torch.from_numpy(data)).transpose(1, 2)
    return turned.to(x_0)


def assignment(source: np.ndarray, data: np.ndarray) -> np.ndarray:
    """(n,) int64: for each point of the data (n, d) the one of the source (n, d) that it gets."""
    from scipy.optimize import linear_sum_assignment

    found: Any = linear_sum_assignment(((data[:, None] - source[None]) ** 2).sum(-1))
    return np.asarray(found[1], np.int64)


def rotations(source: Tensor, data: Tensor) -> Tensor:
    """(b, 3, 3) proper rotations R about the origin with the least sum of |R source_i - data_i|^2.

    Args:
        source: (b, N, 3) float64, 0 where there is no point.
        data: likewise.
    """
    u, _, v = torch.linalg.svd(data.transpose(1, 2) @ source)
    sign = torch.ones(len(source), 3, dtype=source.dtype)
    sign[:, 2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(v))
    return (u * sign[:, None]) @ v
