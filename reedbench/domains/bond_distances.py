"""Bonds from distances by EDM's rule: the order of the bond between two atoms follows from elements and distance alone.

`perceived(coordinates (n, 3), elements (n,)) -> (bonds, 3) uint8`          one molecule
`perceived_rows(coordinates Ragged, elements Ragged) -> Ragged uint8`       many

Rule (Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003; qm9/bond_analyze.py @fce07d7): with the lengths B1, B2
and B3 of single, double and triple bonds (tables/bond_lengths.csv) a distance d in picometres is no bond unless
d < B1 + 10, then single unless the pair has B2 and d < B2 + 5, then double unless it has B3 and d < B3 + 3. Two
elements for which the table has no bond have none (EDM's rule for GEOM; that for QM9 fails there).
"""

import csv
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains.molecule import DOUBLE, NUMBERS, SINGLE, TRIPLE

TABLE: Final = Path(__file__).parent / "tables" / "bond_lengths.csv"
MARGINS: Final = {SINGLE: 10.0, DOUBLE: 5.0, TRIPLE: 3.0}  # pm
PICOMETRES: Final = 100.0  # in an Angstrom
PLACES: Final = 1 << 21  # pairs of atoms that are looked at together
ELEMENTS: Final = 256  # that a byte can name


def perceived(coordinates: np.ndarray, elements: np.ndarray) -> np.ndarray:
    """(bonds, 3) uint8 of one molecule, as `domains.molecule` has them.

    Args:
        coordinates: (n, 3), Angstrom.
        elements: (n,) uint8, atomic numbers; 0 (not decided) has no bonds.

    Raises:
        ValueError: shapes do not fit, or an atom has a place that is not finite.
    """
    _, i, j, order = _pairs(np.asarray(coordinates)[None], np.asarray(elements)[None])
    return np.stack([i, j, order], axis=1).astype(np.uint8)


def perceived_rows(coordinates: Ragged, elements: Ragged) -> Ragged:
    """Bonds of many molecules; arguments and errors as of `perceived`."""
    rows = len(elements)
    if rows == 0:
        return Ragged(np.zeros((0, 3), np.uint8), np.zeros(0, np.int64))
    longest = int(elements.lengths.max())
    row, i, j, order = _pairs(coordinates.padded(longest), elements.padded(longest))
    return Ragged(np.stack([i, j, order], axis=1).astype(np.uint8), np.bincount(row, minlength=rows))


def _pairs(coordinates: np.ndarray, elements: np.ndarray) -> tuple[np.ndarray, ...]:
    """Row, the two atoms i < j and the order of every bond, sorted by row, i and j."""
    if elements.ndim != 2 or coordinates.shape != (*elements.shape, 3):
        raise ValueError(f"coordinates {coordinates.shape} do not fit elements {elements.shape}")
    if not np.isfinite(coordinates[elements > 0]).all():
        row = int(np.argmax((~np.isfinite(coordinates).all(-1) & (elements > 0)).any(1)))
        raise ValueError(f"molecule {row + 1} of {len(elements)} has an atom whose place is not finite")
    each = max(1, PLACES // max(1, elements.shape[1] ** 2))
    parts = [
        _bonded(coordinates[first : first + each], elements[first : first + each], first)
        for first in range(0, max(1, len(elements)), each)
    ]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _bonded(coordinates: np.ndarray, elements: np.ndarray, first: int) -> tuple[np.ndarray, ...]:
    """`_pairs` of few rows, the first of which has the number `first`."""
    limits = _limits()
    places = np.asarray(coordinates, np.float64)
    squared = sum((places[:, :, None, k] - places[:, None, :, k]) ** 2 for k in range(3))
    present = np.flatnonzero(np.bincount(elements.ravel(), minlength=ELEMENTS)[1:]) + 1
    reach = limits[SINGLE][np.ix_(present, present)].max(initial=0.0) / PICOMETRES + 1e-6
    row, i, j = np.nonzero(squared < reach**2)  # most pairs are farther apart than any bond
    row, i, j = (of[i < j] for of in (row, i, j))
    one, other = elements[row, i], elements[row, j]
    distance = PICOMETRES * np.sqrt(squared[row, i, j])
    order = np.zeros(len(row), np.uint8)
    for kind, limit in limits.items():  # each kind only where the one before it is one
        order[(order == kind - 1) & (distance < limit[one, other])] = kind
    kept = order > 0
    return row[kept] + first, i[kept], j[kept], order[kept]


@cache
def _limits() -> dict[int, np.ndarray]:
    """By order (256, 256): below which distance in pm two elements have a bond of it; 0 where they never have."""
    found = {order: np.zeros((ELEMENTS, ELEMENTS)) for order in MARGINS}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(line for line in file if not line.startswith("#")):
            a, b, order = NUMBERS[line["first"]], NUMBERS[line["second"]], int(line["order"])
            found[order][a, b] = found[order][b, a] = float(line["picometres"]) + MARGINS[order]
    return found
