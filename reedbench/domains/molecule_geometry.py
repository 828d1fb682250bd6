"""Lengths, angles and torsions of the bonds of many molecules at once, each with its kind.

A kind is what values are compared within: it names elements and orders of bonds, as an integer (int64) that is the same
for every molecule.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reedbench.core.ragged import Ragged

Values = tuple[np.ndarray, np.ndarray]  # (m,) float64 and (m,) int64: values and their kinds
BYTE = 256


def lengths(arrays: Mapping[str, Any]) -> Values:
    """Of every bond, in Angstrom; its kind: both elements, in either order, and the order of the bond."""
    i, j, order = _bonds(arrays)
    elements, places = _atoms(arrays)
    ends = np.sort(np.stack([elements[i], elements[j]]), axis=0)
    return np.linalg.norm(places[i] - places[j], axis=1), _kind(ends[0], ends[1], order)


def angles(arrays: Mapping[str, Any]) -> Values:
    """Between every two bonds of an atom, in degrees from 0 to 180; its kind: the element of the atom."""
    elements, places = _atoms(arrays)
    centre, end, first, number = _neighbours(arrays)
    # Each bond of an atom with those of its bonds that come after it.
    after = first[centre] + number[centre] - np.arange(len(centre)) - 1
    one = np.repeat(np.arange(len(centre)), after)
    other = one + 1 + _counting(after)
    middle = centre[one]
    found = _angle(places[end[one]] - places[middle], places[end[other]] - places[middle])
    return found, elements[middle]


def torsions(arrays: Mapping[str, Any]) -> Values:
    """Around every bond, between each bond at its one end and each at its other, in degrees from 0 to 180.

    Without a sign, because molecules and their mirror images are alike here. The kind: elements and order of the bond
    in the middle.
    """
    elements, places = _atoms(arrays)
    i, j, order = _bonds(arrays)
    _, end, first, number = _neighbours(arrays)
    bond = np.repeat(np.arange(len(i)), number[i] * number[j])
    count = _counting(number[i] * number[j])
    outer = [end[first[i[bond]] + count // number[j[bond]]], end[first[j[bond]] + count % number[j[bond]]]]
    kept = (outer[0] != j[bond]) & (outer[1] != i[bond]) & (outer[0] != outer[1])
    bond, outer = bond[kept], [atoms[kept] for atoms in outer]
    axis = places[j[bond]] - places[i[bond]]
    sides = [places[atoms] - places[middle[bond]] for atoms, middle in zip(outer, (i, j), strict=True)]
    found = _angle(*(np.cross(axis, side) for side in sides))
    ends = np.sort(np.stack([elements[i], elements[j]]), axis=0)
    return found, _kind(ends[0], ends[1], order)[bond]


def _atoms(arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return arrays["elements"].values.astype(np.int64), arrays["coordinates"].values.astype(np.float64)


def _bonds(arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both atoms, numbered over all molecules, and the order of every bond."""
    elements, bonds = arrays["elements"], arrays["bonds"]
    first = np.repeat(elements.starts[:-1], bonds.lengths)
    i, j, order = bonds.values.astype(np.int64).T
    return first + i, first + j, order


def _neighbours(arrays: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every bond from both of its ends, sorted by the atom it is seen from; and of every atom, where its own begin and
    how many they are."""
    i, j, _ = _bonds(arrays)
    centre, end = np.concatenate([i, j]), np.concatenate([j, i])
    order = np.argsort(centre, kind="stable")
    number = np.bincount(centre, minlength=len(arrays["elements"].values))
    return centre[order], end[order], np.cumsum(number) - number, number


def _counting(numbers: np.ndarray) -> np.ndarray:
    """0, 1, ... of every row, one row after the other: [2, 3] -> [0, 1, 0, 1, 2]."""
    rows = Ragged(np.empty(int(numbers.sum()), np.int8), numbers)
    return np.arange(len(rows.values)) - np.repeat(rows.starts[:-1], numbers)


def _angle(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(m,) degrees between vectors (m, 3); 0 where one has no length."""
    across = np.linalg.norm(np.cross(one, other), axis=1)
    return np.degrees(np.arctan2(across, (one * other).sum(1)))


def _kind(*parts: np.ndarray) -> np.ndarray:
    """Small numbers as one."""
    found = np.zeros_like(parts[0], np.int64)
    for part in parts:
        found = found * BYTE + part
    return found
