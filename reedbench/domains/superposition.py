"""Predicted structures, and how far they are from native ones once laid on top: RMSD and TM-score, by biotite.

Residues correspond by position: the first of one structure to the first of the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reedbench.core.ragged import Ragged

LEAST = 3  # points that fix a rotation, and residues that a superposition is made for
FRAGMENTS = 16  # the TM search begins at fragments down to this part of the chain ...
SHORTEST = 4  # ... but no shorter than this
ROUNDS = 20  # superpositions from one beginning, at most
NEAR, FAR = 4.5, 8.0  # Angstrom: bounds of d0 where it says what is near in the TM search
FULL_PLDDT = 100.0


@dataclass(frozen=True, eq=False)
class Folds:
    """Predicted structures of n sequences.

    `coordinates` Ragged float32, rows (length, 3, 3): N, CA, C in Angstrom; `plddt` (n,) float64, the predictor's mean
    confidence in each, 0 to 100.
    """

    coordinates: Ragged
    plddt: np.ndarray

    def __len__(self) -> int:
        return len(self.plddt)

    def take(self, rows: slice | np.ndarray) -> "Folds":
        """A part of the rows."""
        return Folds(self.coordinates[rows], self.plddt[rows])


def rmsd(fixed: np.ndarray, mobile: np.ndarray) -> float:
    """Root mean square distance of corresponding points after the best rotation and translation. Kabsch 1976.

    Args:
        fixed: (n, 3) in Angstrom.
        mobile: (n, 3), the same points in the other structure.

    Returns:
        Angstrom, to about 1e-5: biotite's transformations are of single precision.
    """
    native, other = _centred(fixed), _centred(mobile)
    gap = _laid(native, other) - native
    return float(np.sqrt((gap**2).sum(axis=-1).mean()))


def tm_score(fixed: np.ndarray, mobile: np.ndarray) -> float:
    """TM-score over given pairs: the largest of all superpositions that were tried. Zhang and Skolnick 2004.

    1/n sum 1 / (1 + (d_i / d0)^2) with d0 = 1.24 (n - 15)^(1/3) - 1.8, at least 0.5. The superposition of least RMSD is
    not the one of largest score, so the search of the paper is followed: lay fragments of the chain on top, then again
    and again the residues that came near. https://doi.org/10.1002/prot.20264

    Args:
        fixed: (n, 3) CA atoms in Angstrom of the structure whose length counts.
        mobile: (n, 3), the same residues in the other structure.

    Returns:
        Between 0 and 1, float64; random pairs of folds give 0.17.
    """
    from biotite.structure import tm_score

    native, other = _centred(fixed), _centred(mobile)
    index, reference = np.arange(len(native)), _atoms(native)
    limit = float(np.clip(_scale(len(native)), NEAR, FAR))
    best, score = other, -1.0
    for start, stop in _fragments(len(native)):
        for laid in _settling(native, other, (index >= start) & (index < stop), limit):
            if (found := _closeness(native, laid)) > score:
                best, score = laid, found
    return float(tm_score(reference, _atoms(best), index, index, reference_length=len(native)))


def _centred(points: np.ndarray) -> np.ndarray:
    """(n, 3) float64 about their mean: far from it single precision would cost digits."""
    return points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)


def _laid(fixed: np.ndarray, mobile: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """`mobile` where its chosen points lie best on those of `fixed`."""
    from biotite.structure import superimpose

    return np.asarray(superimpose(fixed, mobile, atom_mask=chosen)[0])


def _fragments(length: int) -> Iterator[tuple[int, int]]:
    """The chain, its halves, quarters ..., each overlapping the next by half: start and stop."""
    size = length
    while size >= min(length, max(SHORTEST, length // FRAGMENTS)):
        step = max(1, size // 2)
        yield from ((start, start + size) for start in range(0, length - size + 1, step))
        size //= 2


def _settling(fixed: np.ndarray, mobile: np.ndarray, chosen: np.ndarray, limit: float) -> Iterator[np.ndarray]:
    """Superpositions, each by the residues that were near in the one before, until these stay the same."""
    for _ in range(ROUNDS):
        laid = _laid(fixed, mobile, chosen)
        yield laid
        distance = np.linalg.norm(laid - fixed, axis=-1)
        reach = max(limit, np.sort(distance)[min(LEAST, len(distance)) - 1])
        if np.array_equal(near := distance <= reach, chosen):
            return
        chosen = near


def _scale(length: int) -> float:
    """The distance d0 of the score, in Angstrom; its least value is that of the authors' program."""
    return max(0.5, 1.24 * max(length - 15, 0) ** (1 / 3) - 1.8)


def _closeness(fixed: np.ndarray, laid: np.ndarray) -> float:
    distance = np.linalg.norm(laid - fixed, axis=-1)
    return float((1 / (1 + (distance / _scale(len(fixed))) ** 2)).mean())


def _atoms(ca: np.ndarray) -> Any:
    """CA atoms (n, 3) as biotite wants them; which amino acid does not matter."""
    from biotite.structure import AtomArray

    atoms = AtomArray(len(ca))
    atoms.coord, atoms.res_id = ca.astype(np.float32), np.arange(1, len(ca) + 1)
    atoms.res_name[:], atoms.atom_name[:], atoms.element[:] = "ALA", "CA", "C"
    return atoms
