"""Valences: which sums of orders of bonds an atom may have, by published tables, for many molecules at once.

An atom is stable where the sum of the orders of its bonds is one that a table allows for its element and charge; a
molecule is where all its atoms are. Tables and their sources are in `tables/valence_<name>.csv`; each belongs to a way
of looking at the bonds (`RULES`):

`edm`        bonds from distances, charges not looked at (Hoogeboom et al. 2022, https://arxiv.org/abs/2203.17003)
`legacy`     the molecule's own bonds, of which aromatic ones count 1: SemlaFlow means 1.5 and stores it as a whole
             number (flowmodels/fm.py:288 in REED @0a4527e), and MiDi does the same. Over-reports
`corrected`  the molecule's own bonds in a Kekule form, with the table that fits it (GEOM-Drugs Revisited)
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import AROMATIC, NUMBERS, molecule_of

Rule = Literal["edm", "legacy", "corrected"]
RULES: Final[tuple[Rule, ...]] = get_args(Rule)
TABLES: Final = Path(__file__).parent / "tables"
ELEMENTS: Final = 256  # that a byte can name
MOST_CHARGE: Final = 3  # in tables; others are allowed only where the charge is not looked at
MOST_TOTAL: Final = 8  # in tables; larger ones are never allowed
ANY: Final = "*"


@cache
def table(rule: Rule) -> np.ndarray:
    """(elements, charges, totals) bool: what is allowed.

    Charges run from -4 to 4, where -4 and 4 stand for all beyond 3; totals from 0 to 9, where 9 stands for all beyond 8
    and for what is no whole number.
    """
    found = np.zeros((ELEMENTS, 2 * MOST_CHARGE + 3, MOST_TOTAL + 2), bool)
    with (TABLES / f"valence_{rule}.csv").open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(line for line in file if not line.startswith("#")):
            charge = slice(None) if line["charge"] == ANY else int(line["charge"]) + MOST_CHARGE + 1
            found[NUMBERS[line["element"]], charge, [int(total) for total in line["orders"].split()]] = True
    return found


def allowed(rule: Rule, elements: np.ndarray, charges: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Whether a table allows atoms their sums of orders; the arguments have one shape, which is that of the answer.

    Args:
        rule: whose table.
        elements: atomic numbers.
        charges: formal charges.
        totals: sums of the orders of bonds; one that is no whole number is not allowed.
    """
    beyond = MOST_CHARGE + 1
    charge = np.clip(charges.astype(np.int64), -beyond, beyond) + beyond
    # NaN is no whole number either.
    whole = np.where(totals == np.floor(totals), np.minimum(totals, MOST_TOTAL + 1), MOST_TOTAL + 1)
    return table(rule)[elements, charge, whole.astype(np.int64)]


def totals(elements: Ragged, bonds: Ragged, aromatic: float = 1.0) -> np.ndarray:
    """(atoms,) float64: the sum of the orders of the bonds of every atom of all molecules.

    Args:
        elements: of the molecules, one entry per atom.
        bonds: of the same molecules, as `domains.molecule` has them.
        aromatic: what an aromatic bond counts; with NaN nothing is known of its atoms.
    """
    i, j, order = bonds.values.astype(np.int64).T
    counts = np.where(order == AROMATIC, aromatic, order)
    first = np.repeat(elements.starts[:-1], bonds.lengths)
    ends = np.concatenate([first + i, first + j])
    return np.bincount(ends, np.concatenate([counts, counts]), minlength=len(elements.values))


def stable_atoms(arrays: Mapping[str, Any], rule: Rule) -> Ragged:
    """Which atoms of molecules are stable, bool.

    Args:
        arrays: of the molecules, as `domains.molecule` has them; for `edm` with bonds from distances.
        rule: whose table they are held against, and in which form.
    """
    elements, charges = arrays["elements"], arrays["charges"].values
    bonds = kekule(arrays) if rule == "corrected" else arrays["bonds"]
    # Where there is no Kekule form nothing says what the orders are.
    found = allowed(rule, elements.values, charges, totals(elements, bonds, np.nan if rule == "corrected" else 1))
    return Ragged(found, elements.lengths)


def sums(of: Ragged) -> np.ndarray:
    """(n,) int64: how many entries of each row are true."""
    return np.diff(np.concatenate([[0], np.cumsum(of.values)])[of.starts])


def kekule(arrays: Mapping[str, Any]) -> Ragged:
    """The bonds of molecules with single and double ones in place of aromatic ones, by RDKit.

    A molecule whose aromatic bonds have no such form keeps them; so does one with an aromatic atom of more bonds than
    the table of this form has for its element: it is not stable, and RDKit may search it for seconds. Nothing else is
    looked at, so that a molecule that RDKit does not sanitise for other reasons has its form.
    """
    bonds: Ragged = arrays["bonds"]
    values = bonds.values.copy()
    row_of, aromatic = np.repeat(np.arange(len(bonds)), bonds.lengths), values[:, 2] == AROMATIC
    hopeless = row_of[aromatic & _crowded(arrays["elements"], bonds)]
    for row in np.setdiff1d(row_of[aromatic], hopeless).tolist():
        orders = molecule_graphs.kekule_orders(molecule_of(arrays, row))
        if orders is not None:
            values[bonds.starts[row] : bonds.starts[row + 1], 2] = orders
    return Ragged(values, bonds.lengths)


def _crowded(elements: Ragged, bonds: Ragged) -> np.ndarray:
    """(bonds,) bool: whether one of a bond's atoms has more bonds than any sum of orders that is allowed for it."""
    i, j = bonds.values[:, :2].astype(np.int64).T + np.repeat(elements.starts[:-1], bonds.lengths)
    most = (table("corrected").any(1) * np.arange(MOST_TOTAL + 2)).max(1)
    limit = np.where(most > 0, most, MOST_TOTAL)[elements.values]
    over = np.bincount(np.concatenate([i, j]), minlength=len(elements.values)) > limit
    return over[i] | over[j]
