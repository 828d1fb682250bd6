"""Pickled RDKit molecules as flat arrays; run as a program of its own, in a process that has nothing to lose.

    python -I _pickle_converter.py <pickle> <npz> <conformers>

The pickle is MiDi's: a list of (SMILES, [RDKit molecule with one conformer, ...]). A pickle can run any code, so that
it is read here, with names of RDKit's molecule alone, and never in the process that asked; see `_pickled_geom`. The
program imports nothing of the package, as the package need not be installed for the isolated interpreter to find it.
"""

import pickle
import sys
from typing import Any, ClassVar

import numpy as np

KINDS = {"SINGLE": 1, "DOUBLE": 2, "TRIPLE": 3, "AROMATIC": 4}
LETTERS = 120  # of what is wrong with a molecule


class NotMolecules(Exception):
    """The file is no pickle of molecules; says why."""


class Reader(pickle.Unpickler):
    """Knows RDKit's molecule by name, and nothing else that could run."""

    known: ClassVar[set[tuple[str, str]]] = {("rdkit.Chem.rdchem", "Mol"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        """RDKit's molecule, or Python's bytes of an old protocol.

        Raises:
            NotMolecules: the pickle asks for something else.
        """
        if (module, name) not in self.known:
            raise NotMolecules(f"asks for {module}.{name}, which no pickle of molecules needs: it may run foreign code")
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> Any:
        """Nothing lies outside.

        Raises:
            NotMolecules: always.
        """
        raise NotMolecules("refers to something outside of the file")


def entries(path: str) -> list[tuple[str, list[Any]]]:
    """What the pickle holds.

    Raises:
        NotMolecules: it is damaged, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            found = Reader(file).load()
    except NotMolecules:
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        raise NotMolecules(f"cannot be read as a pickle ({type(error).__name__}: {error})") from error
    if not isinstance(found, list):
        raise NotMolecules(f"holds a {type(found).__name__}, not a list of (SMILES, molecules)")
    for number, entry in enumerate(found, 1):
        if not (isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[1], list) and entry[1]):
            raise NotMolecules(f"entry {number} is no (SMILES, molecules)")
    return found


def described(molecule: Any) -> tuple[np.ndarray, list[int], list[int], list[tuple[int, int, int]]]:
    """Places, elements, charges and bonds.

    Raises:
        ValueError: it is no molecule with a conformer, or has a bond that is none of ours.
    """
    if not hasattr(molecule, "GetNumConformers") or not molecule.GetNumConformers():
        raise ValueError("it has no coordinates")
    bonds = []
    for bond in molecule.GetBonds():
        if (kind := str(bond.GetBondType())) not in KINDS:
            raise ValueError(f"a bond of kind {kind.lower()}; single, double, triple and aromatic fit")
        bonds.append((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), KINDS[kind]))
    atoms = list(molecule.GetAtoms())
    elements, charges = [atom.GetAtomicNum() for atom in atoms], [atom.GetFormalCharge() for atom in atoms]
    return molecule.GetConformer().GetPositions(), elements, charges, bonds


def arrays(found: list[tuple[str, list[Any]]], conformers: int) -> dict[str, np.ndarray]:
    """Flat arrays of the first conformers of every entry; of one that is no molecule, no atoms and the reason."""
    places, elements, charges, bonds = [np.zeros((0, 3))], [], [], []
    entry, conformer, atoms, joined, wrong = [], [], [0], [0], []
    for number, (_, molecules) in enumerate(found):
        for k, molecule in enumerate(molecules[:conformers]):
            try:
                one, why = described(molecule), ""
            except ValueError as error:
                one, why = (np.zeros((0, 3)), [], [], []), str(error)
            places.append(one[0])
            elements += one[1]
            charges += one[2]
            bonds += one[3]
            entry.append(number)
            conformer.append(k)
            atoms.append(len(elements))
            joined.append(len(bonds))
            wrong.append(why[:LETTERS].encode("ascii", "replace"))
    ends = np.array(bonds, np.int64).reshape(-1, 3)
    return {
        "position": np.concatenate(places).astype(np.float32),
        "atomic_number": np.array(elements, np.uint8),
        "charge": np.array(charges, np.int8),
        "atom_offset": np.array(atoms, np.int64),
        "bond_index": ends[:, :2].astype(np.int32),
        "bond_order": ends[:, 2].astype(np.uint8),
        "bond_offset": np.array(joined, np.int64),
        "entry": np.array(entry, np.int64),
        "conformer": np.array(conformer, np.int64),
        "wrong": np.array(wrong, f"S{LETTERS}"),
    }


def main(source: str, target: str, conformers: str) -> None:
    """Convert one file; what is wrong with it is said in one line, and the exit status is 1."""
    try:
        made = arrays(entries(source), int(conformers))
    except NotMolecules as error:
        sys.exit(str(error))
    with open(target, "wb") as file:
        np.savez(file, **made)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
