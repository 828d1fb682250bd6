"""Molecules in three dimensions: atoms with places, elements and charges, and the bonds between them.

The rows of a dataset, and samples, have these arrays (see `rows.Rows`):

`coordinates`  Ragged float32, rows (atoms, 3), in Angstrom, centred at their mean
`elements`     Ragged uint8, rows (atoms,), atomic numbers; 0 where nothing was decided
`charges`      Ragged int8, rows (atoms,), formal charges
`bonds`        Ragged uint8, rows (bonds, 3): two atoms i < j of the row, from 0, and the order: 1, 2, 3, 4 aromatic

Data have besides `smiles` (Ragged uint8, the letters of the canonical SMILES without stereo and without explicit
hydrogen; those that are missing stay so) and `molecule` (n,) int64: conformers of one molecule share it, and a split.
What else is one-dimensional, such as properties, goes into the manifest too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from reedbench.core.ragged import Ragged

MOST_CHARGE: Final = 127  # of one atom: charges are bytes too
MOST_ATOMS: Final = 255  # numbers of atoms in `bonds` are bytes
NONE, SINGLE, DOUBLE, TRIPLE, AROMATIC = range(5)  # orders of bonds; 0 is no bond
ORDERS: Final = 5
SYMBOLS: Final = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt "
    "Au Hg Tl Pb Bi"
).split()  # by atomic number; 0 is no element
NUMBERS: Final = {symbol: number for number, symbol in enumerate(SYMBOLS) if number}
SEMLA: Final = ("H", "C", "N", "O", "F", "P", "S", "Cl", "Br", "B", "Al", "Si", "As", "I", "Hg", "Bi")
"""SemlaFlow's elements, in the order of its tokens (REED molecule/semlaflow/scriptutil.py:103-115 @0a4527e)."""
ARRAYS: Final = ("coordinates", "elements", "charges", "bonds")


@dataclass(frozen=True, eq=False)
class Molecule:
    """One molecule.

    Attributes:
        coordinates: (atoms, 3) float32, Angstrom.
        elements: (atoms,) uint8, atomic numbers.
        charges: (atoms,) int8, formal charges.
        bonds: (bonds, 3) uint8, see the module.
    """

    coordinates: np.ndarray
    elements: np.ndarray
    charges: np.ndarray
    bonds: np.ndarray

    def __len__(self) -> int:
        return len(self.elements)

    @classmethod
    def of(cls, coordinates: Any, elements: Any, charges: Any = None, bonds: Any = ()) -> "Molecule":
        """Of arrays of any number type; without charges all are 0. Bonds are sorted, with i < j, and places centred.

        Raises:
            ValueError: shapes do not fit, there is no atom or one too many, an element, a charge or an order is none,
                a place is not finite, or a bond joins an atom that is not there, itself, or two atoms that another bond
                joins.
        """
        places, numbers = np.asarray(coordinates, np.float64), _whole(elements, "atomic numbers")
        if numbers.ndim != 1 or places.shape != (n := len(numbers), 3):
            raise ValueError(f"{places.shape} coordinates for {numbers.shape} elements")
        if not 1 <= n <= MOST_ATOMS:
            raise ValueError("it has no atom" if n == 0 else f"it has {n} atoms, and {MOST_ATOMS} are possible")
        if not np.isfinite(places).all():
            raise ValueError(f"atom {int(np.flatnonzero(~np.isfinite(places).all(1))[0]) + 1} has a place that is NaN")
        if (wrong := (numbers < 1) | (numbers >= len(SYMBOLS))).any():
            raise ValueError(f"atom {int(wrong.argmax()) + 1} has the atomic number {numbers[wrong.argmax()]}")
        signed = np.zeros(n, np.int64) if charges is None else _whole(charges, "charges")
        if (strange := np.abs(signed) > MOST_CHARGE).any():
            raise ValueError(f"atom {int(strange.argmax()) + 1} has the charge {signed[strange.argmax()]}")
        return cls(
            (places - places.mean(0)).astype(np.float32),
            numbers.astype(np.uint8),
            signed.astype(np.int8),
            _sorted_bonds(_whole(bonds, "bonds").reshape(-1, 3), n),
        )

    def orders(self) -> np.ndarray:
        """(atoms, atoms) uint8: the order of the bond between every two atoms, 0 where there is none; symmetric."""
        return _matrix(self.bonds, len(self))


def _whole(given: Any, what: str) -> np.ndarray:
    """As int64."""
    numbers = np.asarray(given)
    if numbers.dtype.kind == "f" and (odd := ~(np.isfinite(numbers) & (numbers == np.floor(numbers)))).any():
        raise ValueError(f"{what} are whole numbers, and one is {numbers[odd][0]:g}")
    return numbers.astype(np.int64)


def _sorted_bonds(bonds: np.ndarray, atoms: int) -> np.ndarray:
    ends = np.sort(bonds[:, :2], axis=1)
    if len(bonds) and ends.min() < 0:
        raise ValueError(f"a bond has the index {ends.min()}; atoms are counted from 0")
    if len(bonds) and ends.max() >= atoms:
        raise ValueError(f"a bond joins atom {int(ends.max()) + 1} of {atoms}")
    if (ends[:, 0] == ends[:, 1]).any():
        raise ValueError("a bond joins an atom with itself")
    if len(np.unique(ends, axis=0)) < len(ends):
        raise ValueError("two bonds join the same atoms")
    if ((bonds[:, 2] < SINGLE) | (bonds[:, 2] > AROMATIC)).any():
        raise ValueError(f"a bond has an order that is not {SINGLE} to {AROMATIC} ({AROMATIC}: aromatic)")
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    return np.concatenate([ends, bonds[:, 2:]], axis=1)[order].astype(np.uint8)


def _matrix(bonds: np.ndarray, atoms: int) -> np.ndarray:
    found = np.zeros((atoms, atoms), np.uint8)
    i, j, order = bonds.T
    found[i, j] = found[j, i] = order
    return found


def fragments(molecule: Molecule) -> np.ndarray:
    """(atoms,) int64: the number of each atom's fragment, from 0 in the order of their first atoms; bonds join them."""
    label = list(range(len(molecule)))

    def root(atom: int) -> int:
        while label[atom] != atom:
            label[atom] = atom = label[label[atom]]
        return atom

    for i, j in molecule.bonds[:, :2].tolist():
        one, other = sorted((root(i), root(j)))
        label[other] = one
    return np.unique([root(atom) for atom in range(len(molecule))], return_inverse=True)[1].reshape(-1)


def chosen(molecule: Molecule, atoms: np.ndarray) -> Molecule:
    """Some of its atoms, in that order, centred, with the bonds between them."""
    number = np.full(len(molecule), -1)
    number[atoms] = np.arange(len(atoms))
    bonds = np.concatenate([number[molecule.bonds[:, :2]], molecule.bonds[:, 2:]], axis=1)
    kept = bonds[(bonds >= 0).all(1)]
    return Molecule.of(molecule.coordinates[atoms], molecule.elements[atoms], molecule.charges[atoms], kept)


def arrays_of(molecules: Sequence[Molecule]) -> dict[str, Ragged]:
    """Some molecules as arrays of rows; at least one."""
    return {name: Ragged.of([getattr(molecule, name) for molecule in molecules]) for name in ARRAYS}


def molecule_of(arrays: Mapping[str, Any], i: int) -> Molecule:
    """Row i."""
    return Molecule(*(arrays[name][i] for name in ARRAYS))


def order_matrices(bonds: Ragged, length: int) -> np.ndarray:
    """(n, length, length) uint8: the orders of bonds between every two atoms, 0 beyond a molecule; symmetric."""
    found = np.zeros((len(bonds), length, length), np.uint8)
    row = np.repeat(np.arange(len(bonds)), bonds.lengths)
    i, j, order = bonds.values.T
    found[row, i, j] = found[row, j, i] = order
    return found


def bonds_of(matrix: np.ndarray) -> np.ndarray:
    """(bonds, 3) uint8 of the lower triangle of a matrix (atoms, atoms) of orders."""
    j, i = np.nonzero(np.tril(matrix, -1))
    order = np.lexsort((j, i))
    return np.stack([i[order], j[order], matrix[j[order], i[order]]], axis=1).astype(np.uint8)
