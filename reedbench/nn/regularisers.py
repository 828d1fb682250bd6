"""Losses on hidden states alone, which need no encoder: rows of a group are pushed apart.

Source: Dispersive loss, arXiv:2506.09027, and its released code (whaletech-ai/Disperse-Loss).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reedbench.nn.learner import WHOLE

Variant = Literal["l2", "cosine", "hinge", "covariance"]


@dataclass(frozen=True)
class Dispersion:
    """How far the rows of a group are from each other, as a loss; smaller is farther apart.

    `l2` and `cosine`: log of the mean of exp(-D / temperature) over all g^2 pairs, D = |z_i - z_j|^2 / size of z, or
    -cos(z_i, z_j). `hinge`: mean of max(0, margin - D)^2 with the first D. The pairs (i, i) count, as in the released
    code. `covariance`: sum of the squares off the diagonal of the covariance (n - 1) of rows of length 1.

    Attributes:
        variant: which of them.
        group: consecutive rows that are compared, or `WHOLE`.
        temperature: of `l2` and `cosine`.
        margin: of `hinge`.
    """

    variant: Variant
    group: int
    temperature: float = 1.0
    margin: float = 0.0

    def __call__(self, z: Tensor, there: Tensor | None = None) -> Tensor:
        """One value per row, that of its group.

        Args:
            z: (b, d) or (b, tokens, d); tokens are joined, and for `covariance` averaged.
            there: (b,), 1 for rows that count; others are in no pair, and get 0. None: all.
        """
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        z = z.mean(1) if self.variant == "covariance" and z.ndim == 3 else z.flatten(1)
        there = z.new_ones(len(z)) if there is None else there.to(z.dtype)
        size = len(z) if self.group == WHOLE else self.group
        groups, counted = z.unflatten(0, (-1, size)), there.unflatten(0, (-1, size))
        with torch.autocast(z.device.type, enabled=False):  # half precision loses small distances
            value = _covariance(groups, counted) if self.variant == "covariance" else self._pairs(groups, counted)
        return value.repeat_interleave(size) * there

    def floor(self) -> float | None:
        """The value at which no pair but (i, i) is left to push, and hidden states grow for nothing; `l2` has one."""
        return -math.log(self.group) if self.variant == "l2" and self.group != WHOLE else None

    def _pairs(self, z: Tensor, counted: Tensor) -> Tensor:
        """(groups, g, d) and (groups, g) -> (groups,)."""
        distance = -_products(F.normalize(z, dim=-1)) if self.variant == "cosine" else _distances(z, counted)
        if self.variant == "hinge":
            return _mean(F.relu(self.margin - distance).square(), counted, otherwise=0.0)
        return _mean((-distance / self.temperature).exp(), counted, otherwise=1.0).log()


def _products(z: Tensor) -> Tensor:
    return z @ z.transpose(-2, -1)


def _distances(z: Tensor, counted: Tensor) -> Tensor:
    """Mean of the squared differences, (groups, g, d) -> (groups, g, g); by products, which take no g^2 d numbers."""
    centred = z - _centre(z, counted)  # no distance changes, and more digits are kept
    products = _products(centred)
    own = products.diagonal(dim1=-2, dim2=-1)
    return (own[..., :, None] + own[..., None, :] - 2 * products) / z.shape[-1]


def _mean(values: Tensor, counted: Tensor, otherwise: float) -> Tensor:
    """Over the pairs of rows that count, (groups, g, g) -> (groups,)."""
    pairs = counted[..., :, None] * counted[..., None, :]
    number = pairs.sum((-2, -1))
    # Values of rows that do not count may be anything.
    mean = torch.where(pairs > 0, values, 0.0).sum((-2, -1)) / number.clamp(min=1)
    return torch.where(number > 0, mean, otherwise)


def _centre(z: Tensor, counted: Tensor) -> Tensor:
    """Mean of the rows that count: (groups, 1, d)."""
    weights = counted[..., None]
    return (z * weights).sum(-2, keepdim=True) / weights.sum(-2, keepdim=True).clamp(min=1)


def _covariance(z: Tensor, counted: Tensor) -> Tensor:
    unit = F.normalize(z, dim=-1)
    centred = (unit - _centre(unit, counted)) * counted[..., None]
    covariance = centred.transpose(-2, -1) @ centred / (counted.sum(-1) - 1).clamp(min=1)[..., None, None]
    return covariance.square().sum((-2, -1)) - covariance.diagonal(dim1=-2, dim2=-1).square().sum(-1)


def pooled(h: Tensor, mask: Tensor) -> Tensor:
    """Mean over the entries that count: (b, n, d) and (b, n) -> (b, d); 0 where none does."""
    weights = mask[..., None].to(h.dtype)
    return (h * weights).sum(1) / weights.sum(1).clamp(min=1)
