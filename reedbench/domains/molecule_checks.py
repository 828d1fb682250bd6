"""Which molecules RDKit sanitises, and of how many fragments they are, for many at once.

RDKit takes a tenth of a millisecond and more for a molecule, and of most it can be known without it: where no atom has
a charge and no bond is aromatic, a molecule is refused exactly where an atom has more than the largest valence that
RDKit knows of its element (`PeriodicTable.GetValenceList`), but for elements that RDKit mends first (the N of a nitro
group that is drawn with two double bonds). Whatever is not known so, RDKit is asked.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains import molecule_graphs, valence
from reedbench.domains.molecule import AROMATIC, NUMBERS, molecule_of

PLAIN: Final = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br")  # elements that can be judged without RDKit ...
NOT_MENDED: Final = ("H", "C", "O", "F")  # ... and those of them with which it does not put up beyond their valence


def sanitised(arrays: Mapping[str, Any]) -> np.ndarray:
    """(n,) bool: whether RDKit sanitises each molecule; arrays as `domains.molecule` has them."""
    elements, bonds = arrays["elements"], arrays["bonds"]
    limit, plain, kept = _limits()
    beyond = valence.totals(elements, bonds) > limit[elements.values]
    simple = plain[elements.values] & (arrays["charges"].values == 0)
    refused = _any(beyond & kept[elements.values], elements)
    known = _all(simple, elements) & ~_any(bonds.values[:, 2] == AROMATIC, bonds)
    passed = known & ~_any(beyond, elements)
    for row in np.flatnonzero(~(passed | (known & refused))).tolist():
        passed[row] = molecule_graphs.graph(molecule_of(arrays, row)) is not None
    return passed


def fragments(arrays: Mapping[str, Any]) -> np.ndarray:
    """(n,) int64: how many parts without a bond between them each molecule has."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    elements, bonds = arrays["elements"], arrays["bonds"]
    atoms, first = len(elements.values), np.repeat(elements.starts[:-1], bonds.lengths)
    i, j = (first + bonds.values[:, end] for end in (0, 1))
    graph = coo_matrix((np.ones(len(i), np.uint8), (i, j)), (atoms, atoms))
    _, part = connected_components(graph, directed=False)
    row = np.repeat(np.arange(len(elements)), elements.lengths)
    _, seen = np.unique(part, return_index=True)
    return np.bincount(row[seen], minlength=len(elements))


@cache
def _limits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By atomic number: RDKit's largest valence without charge, and whether it is in `PLAIN` and in `NOT_MENDED`."""
    table = molecule_graphs.rdkit().GetPeriodicTable()
    limit, plain, kept = (np.zeros(valence.ELEMENTS, kind) for kind in (np.int64, bool, bool))
    for symbol in PLAIN:
        number = NUMBERS[symbol]
        limit[number], plain[number], kept[number] = max(table.GetValenceList(number)), True, symbol in NOT_MENDED
    return limit, plain, kept


def _any(of: np.ndarray, rows: Ragged) -> np.ndarray:
    """(n,) bool: whether one of the entries of each row is true."""
    return valence.sums(Ragged(of, rows.lengths)) > 0


def _all(of: np.ndarray, rows: Ragged) -> np.ndarray:
    """(n,) bool: whether all of the entries of each row are true."""
    return valence.sums(Ragged(of, rows.lengths)) == rows.lengths
