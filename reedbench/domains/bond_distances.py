"""Bonds from distances by EDM's rule: the order of the bond between two atoms follows from elements and distance alone.

`orders(coordinates (b, N, 3), elements (b, N) uint8, unknown="none") -> (b, N, N) uint8`   a padded batch
`perceived(coordinates (n, 3), elements (n,), unknown="none") -> (bonds, 3) uint8`          one molecule
`perceived_rows(coordinates Ragged, elements Ragged, unknown="none") -> Ragged uint8`       many

Rule (Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003; qm9/bond_analyze.py @fce07d7): with the lengths B1, B2
and B3 of single, double and triple bonds (tables/bond_lengths.csv) a distance d in picometres is no bond unless
d < B1 + 10, then single unless the pair has B2 and d < B2 + 5, then double unless it has B3 and d < B3 + 3.
"""

import csv
from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains.molecule import DOUBLE, NUMBERS, SINGLE, SYMBOLS, TRIPLE

TABLE: Final = Path(__file__).parent / "tables" / "bond_lengths.csv"
MARGINS: Final = {SINGLE: 10.0, DOUBLE: 5.0, TRIPLE: 3.0}  # pm
PICOMETRES: Final = 100.0  # in an Angstrom
PLACES: Final = 1 << 21  # pairs of atoms that are looked at together
ELEMENTS: Final = 256  # that a byte can name

Unknown = Literal["refuse", "none"]


def orders(coordinates: np.ndarray, elements: np.ndarray, unknown: Unknown = "none") -> np.ndarray:
    """(b, N, N) uint8: the order of the bond between every two atoms, 0 (none) to 3; symmetric, 0 on the diagonal.

    Args:
        coordinates: (b, N, 3), Angstrom.
        elements: (b, N) uint8, atomic numbers; 0 (padding, or not decided) has no bonds.
        unknown: what two elements for which the table has no bond are: no bond (EDM's rule for GEOM) or refused
            wherever one molecule has both (its rule for QM9).

    Raises:
        ValueError: shapes do not fit, an atom has a place that is not finite, or an unknown pair is to be refused.
    """
    row, i, j, order = _pairs(coordinates, elements, unknown)
    found = np.zeros((*elements.shape, elements.shape[1]), np.uint8)
    found[row, i, j] = found[row, j, i] = order
    return found


def perceived(coordinates: np.ndarray, elements: np.ndarray, unknown: Unknown = "none") -> np.ndarray:
    """(bonds, 3) uint8 of one molecule, as `domains.molecule` has them; arguments and errors as of `orders`."""
    _, i, j, order = _pairs(np.asarray(coordinates)[None], np.asarray(elements)[None], unknown)
    return np.stack([i, j, order], axis=1).astype(np.uint8)


def perceived_rows(coordinates: Ragged, elements: Ragged, unknown: Unknown = "none") -> Ragged:
    """Bonds of many molecules; arguments and errors as of `orders`."""
    rows = len(elements)
    if rows == 0:
        return Ragged(np.zeros((0, 3), np.uint8), np.zeros(0, np.int64))
    longest = int(elements.lengths.max())
    row, i, j, order = _pairs(coordinates.padded(longest), elements.padded(longest), unknown)
    return Ragged(np.stack([i, j, order], axis=1).astype(np.uint8), np.bincount(row, minlength=rows))


def _pairs(coordinates: np.ndarray, elements: np.ndarray, unknown: Unknown) -> tuple[np.ndarray, ...]:
    """Row, the two atoms i < j and the order of every bond, sorted by row, i and j."""
    if elements.ndim != 2 or coordinates.shape != (*elements.shape, 3):
        raise ValueError(f"coordinates {coordinates.shape} do not fit elements {elements.shape}")
    if not np.isfinite(coordinates[elements > 0]).all():
        row = int(np.argmax((~np.isfinite(coordinates).all(-1) & (elements > 0)).any(1)))
        raise ValueError(f"molecule {row + 1} of {len(elements)} has an atom whose place is not finite")
    if unknown == "refuse":
        _refuse(elements)
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


def _refuse(elements: np.ndarray) -> None:
    """Say which two elements of one molecule have no bond in the table."""
    known = _limits()[SINGLE] > 0
    present = np.zeros((len(elements), ELEMENTS), bool)
    present[np.arange(len(elements))[:, None], elements] = True
    present[:, 0] = False
    together = present.T.astype(np.float32) @ present.astype(np.float32) > 0
    for a, b in np.argwhere(together & ~known).tolist():
        rows = np.flatnonzero(present[:, a] & present[:, b])
        if a == b:  # one atom of an element is no pair
            rows = rows[(elements[rows] == a).sum(1) > 1]
        if len(rows):
            raise ValueError(
                f"molecule {rows[0] + 1} of {len(elements)} has {_symbol(a)} and {_symbol(b)}, for which {TABLE.name} "
                "has no length of a bond; leave it out, or say that unknown pairs have none"
            )


def _symbol(number: int) -> str:
    return SYMBOLS[number] if number < len(SYMBOLS) else f"element {number}"


@cache
def _limits() -> dict[int, np.ndarray]:
    """By order (256, 256): below which distance in pm two elements have a bond of it; 0 where they never have."""
    found = {order: np.zeros((ELEMENTS, ELEMENTS)) for order in MARGINS}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(line for line in file if not line.startswith("#")):
            a, b, order = NUMBERS[line["first"]], NUMBERS[line["second"]], int(line["order"])
            found[order][a, b] = found[order][b, a] = float(line["picometres"]) + MARGINS[order]
    return found
