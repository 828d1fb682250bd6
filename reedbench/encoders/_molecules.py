"""What encoders of molecules share: what is known of a molecule without any of them, and probes for it."""

from typing import Any

import numpy as np

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged
from reedbench.domains import molecule_checks
from reedbench.domains.rows import Rows

PROPERTIES = ("alpha", "gap", "mu", "zpve")  # of QM9; probed where a data set has one of them
PROBED = 20_000  # molecules of a split on which a probe is fitted or scored, drawn at random


def some(rows: Rows, most: int, stream: str) -> Rows:
    """All rows, or a draw of them, in their order."""
    order = seeds.stream(stream).permutation(len(rows))
    return rows.take(np.sort(order[:most]))


def require_finite(rows: Rows, encoder: str) -> None:
    """Refuse molecules with a place that is no number.

    Raises:
        ConfigError: there is one.
    """
    places: Ragged = rows.arrays["coordinates"]
    if not np.isfinite(places.values).all():
        name = next(name for name, row in zip(rows.ids, places, strict=True) if not np.isfinite(row).all())
        raise ConfigError(f"encoder {encoder}: row '{name}' has an atom whose place is no number; leave it out")


def row_of_atoms(rows: Rows) -> np.ndarray:
    """(atoms of all rows,) int64: the row of each."""
    lengths = rows.arrays["elements"].lengths
    return np.repeat(np.arange(len(lengths)), lengths)


def composition(rows: Rows) -> np.ndarray:
    """(n, 256) float64: how many atoms of each element a molecule has."""
    elements = rows.arrays["elements"].values.astype(np.int64)
    counts = np.bincount(row_of_atoms(rows) * 256 + elements, minlength=len(rows) * 256)
    return counts.reshape(len(rows), 256).astype(np.float64)


def properties(rows: Rows) -> dict[str, np.ndarray]:
    """(n,) float64 each: the quantities of `PROPERTIES` that the data have, or else what a structure tells by itself.

    That is `rings`, bonds that close a ring; `gyration`, root mean square distance from the centre in Angstrom; and
    `heavy`, atoms that are no hydrogen.
    """
    if there := [name for name in PROPERTIES if name in rows.arrays]:
        return {name: np.asarray(rows.arrays[name], np.float64) for name in there}
    return {"rings": _rings(rows), "gyration": _gyration(rows), "heavy": composition(rows)[:, 2:].sum(1)}


def probes(train: Rows, vectors: np.ndarray, test: Rows, of_test: np.ndarray) -> dict[str, Any]:
    """For the card: how much of each property is to be seen in vectors, in the numbers of elements, and in both.

    The numbers of elements say most of what grows with a molecule. What vectors add to them is the difference of both.

    Args:
        train: rows on which the probes are fitted.
        vectors: (n, dim) of them.
        test: rows on which they are scored.
        of_test: (m, dim) of them.
    """
    from reedbench.nn.ridge import explained

    counts, of_test_counts = composition(train), composition(test)
    present = counts.any(0)
    seen = {"": (vectors, of_test), "_of_composition": (counts[:, present], of_test_counts[:, present])}
    seen["_of_both"] = tuple(np.concatenate(parts, axis=1) for parts in zip(*seen.values(), strict=True))
    wanted = properties(test)
    found: dict[str, Any] = {"probe": "R^2 of ridge regression, training split -> test split; composition: atom counts"}
    for name, values in properties(train).items():
        there, there_test = np.isfinite(values), np.isfinite(wanted[name])
        if there.any() and there_test.any():  # a source may lack values
            for end, (x, x_test) in seen.items():
                r2 = explained(x[there], values[there], x_test[there_test], wanted[name][there_test])
                found[f"r2_{name}{end}"] = round(r2, 4)
    return found


def _rings(rows: Rows) -> np.ndarray:
    """Bonds less atoms plus fragments."""
    atoms, bonds = rows.arrays["elements"], rows.arrays["bonds"]
    return (bonds.lengths - atoms.lengths + molecule_checks.fragments(rows.arrays)).astype(np.float64)


def _gyration(rows: Rows) -> np.ndarray:
    places, row = rows.arrays["coordinates"].values.astype(np.float64), row_of_atoms(rows)
    count = np.bincount(row, minlength=len(rows))
    centre = np.stack([np.bincount(row, axis, len(rows)) / count for axis in places.T], axis=1)
    square = np.square(places - centre[row]).sum(1)
    return np.asarray(np.sqrt(np.bincount(row, square, len(rows)) / count))
