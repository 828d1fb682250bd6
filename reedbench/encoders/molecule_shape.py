"""Histograms of distances between atoms, by their elements: a fixed view of a molecule's shape, to compare samples by.

No network, no bonds and no perception: elements and coordinates alone, so that it is defined for whatever a generator
makes and independent of every encoder that is aligned to. After the pair histograms of Behler and Parrinello 2007,
https://doi.org/10.1103/PhysRevLett.98.146401, and the bag of bonds, https://doi.org/10.1021/acs.jpclett.5b00831.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Material
from reedbench.encoders._chains import passes
from reedbench.encoders._molecules import require_finite

GROUPS = ((1,), (6,), (7,), (8,), (9, 17, 35, 53))  # atomic numbers of each group of elements; all others are the last
KINDS = len(GROUPS) + 1
PAIRED = KINDS * (KINDS + 1) // 2  # pairs of groups
AT_ONCE = 2**20  # padded pairs of atoms that are looked at together


class MoleculeShape(AbstractEncoder):
    """Pairs of atoms by elements and distance, per atom, and the share of each group of elements.

    Groups of elements are H, C, N, O, the halogens, and all others; there are 21 pairs of groups. A distance counts for
    the two bins beside it, in proportion to how near they are, so that the vector is continuous in all coordinates;
    what is nearer than the first bin counts for it, and what is farther than the last one for that. The same under
    rotation, reflection, translation and permutation.
    """

    domain: ClassVar[str] = "molecule"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    pretrained: ClassVar[bool] = False
    cites: ClassVar[tuple[str, ...]] = ("behler2007potential", "hansen2015bob")
    uses: Literal["molecule-shape"] = "molecule-shape"

    bins: int = Field(12, ge=2)
    """Number of bins of distance, at equal ratios."""
    nearest: float = Field(0.8, gt=0)
    """Centre of the first bin, in Angstrom."""
    farthest: float = Field(10.0, gt=0)
    """Centre of the last one, in Angstrom."""

    @model_validator(mode="after")
    def _in_order(self) -> "MoleculeShape":
        if self.nearest >= self.farthest:
            raise ValueError(f"nearest {self.nearest} is not below farthest {self.farthest}")
        return self

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """From the settings."""
        return (PAIRED * self.bins + KINDS,)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, 21 * bins + 6) float32: of each pair of groups its bins, then the shares of the groups.

        Raises:
            ConfigError: an atom has a place that is no number.
        """
        rows = material.rows
        require_finite(rows, self.uses)
        (width,) = self.shape({}, {})
        found = np.zeros((len(rows), width), np.float32)
        for chosen in passes(rows.arrays["elements"].lengths, AT_ONCE, pairs=True):
            found[chosen] = self._vectors(rows.take(chosen))
        return found

    def _vectors(self, rows: Rows) -> np.ndarray:
        lengths = rows.arrays["elements"].lengths
        most, count = int(lengths.max()), len(rows)
        kinds = _kinds()[rows.arrays["elements"].padded(most)]
        places = rows.arrays["coordinates"].padded(most).astype(np.float64)
        i, j = np.triu_indices(most, 1)
        row, pair = np.nonzero(j < lengths[:, None])  # i < j, so that both atoms are there
        i, j = i[pair], j[pair]
        apart = np.sqrt(np.square(places[row, i] - places[row, j]).sum(-1))
        base = (row * PAIRED + _codes()[kinds[row, i], kinds[row, j]]) * self.bins
        low, share = self._binned(apart)
        size = count * PAIRED * self.bins
        pairs = np.bincount(base + low, 1 - share, size) + np.bincount(base + low + 1, share, size)
        there = np.arange(most) < lengths[:, None]
        shares = np.stack([((kinds == kind) & there).sum(1) for kind in range(KINDS)], axis=1)
        return np.concatenate([pairs.reshape(count, -1), shares], axis=1) / lengths[:, None]

    def _binned(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lower one of the two bins of each distance, and the share of the upper one."""
        step = np.log(self.farthest / self.nearest) / (self.bins - 1)
        at = np.log(np.maximum(distances, self.nearest) / self.nearest) / step
        at = np.clip(at, 0, self.bins - 1)
        low = np.minimum(at.astype(np.int64), self.bins - 2)
        return low, at - low


def _kinds() -> np.ndarray:
    """(256,) int64: the group of each atomic number."""
    found = np.full(256, KINDS - 1)
    for kind, numbers in enumerate(GROUPS):
        found[list(numbers)] = kind
    return found


def _codes() -> np.ndarray:
    """(kinds, kinds) int64: the number of each pair of groups, the same both ways."""
    found = np.zeros((KINDS, KINDS), np.int64)
    i, j = np.triu_indices(KINDS)
    found[i, j] = found[j, i] = np.arange(len(i))
    return found
