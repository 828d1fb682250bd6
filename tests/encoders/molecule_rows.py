"""Eighty small molecules with RDKit's conformers, as rows of a dataset."""

from functools import cache

import numpy as np

from reedbench.core.ragged import Ragged
from reedbench.domains.molecule import Molecule, arrays_of
from reedbench.domains.molecule_graphs import molecule_of, rdkit
from reedbench.domains.rows import Rows

SMILES = (
    "C CC CCC CCCC CC(C)C C=C C#C CC=C CC#C C1CC1 C1CCC1 CO CCO CC(C)O CCCO COC CCOC C=O CC=O CCC=O CC(C)=O CC(=O)O "
    "OC=O COC=O N CN CCN CNC CN(C)C NCCO C#N CC#N CCC#N N#CC#N NC=O CC(N)=O CNC=O O OO CF FCF FC(F)F CCF FCCF OCCO "
    "OCCF NCCN C1CO1 C1CN1 C1COC1 C1CNC1 C1CCNC1 C1CCOC1 c1ccccc1 c1ccoc1 c1cc[nH]c1 c1ccncc1 c1cnc[nH]1 Cc1ccccc1 "
    "Oc1ccccc1 Nc1ccccc1 Fc1ccccc1 C=CC=C C=CC=O CC=CC C=CCO C#CCO CC(C)(C)C CC(C)(C)O CCCCC CCCCO CC(O)C#N OCC=O "
    "NCC=O NCC(=O)O CC(N)C(=O)O C1CC1O C1CC1C CC1CO1 COCC=O"
).split()
TRAINING = 64


@cache
def molecule(smiles: str) -> Molecule:
    """With explicit hydrogens; the same each time."""
    from rdkit.Chem import AllChem

    chem = rdkit()
    made = chem.AddHs(chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(made, randomSeed=7) == 0
    return molecule_of(made)


def rows_of(molecules: list[Molecule], split: str = "train", **more: np.ndarray) -> Rows:
    """Rows of molecules, named by their numbers."""
    ids = [f"m{i}" for i in range(len(molecules))]
    return Rows(ids, [split] * len(ids), {**arrays_of(molecules), **more})


@cache
def splits() -> tuple[Rows, Rows]:
    """64 training and 16 test molecules, of all sorts each."""
    order = np.random.default_rng(0).permutation(len(SMILES))
    made = [molecule(SMILES[i]) for i in order]
    return rows_of(made[:TRAINING]), rows_of(made[TRAINING:], "test")


def changed(rows: Rows, **arrays: np.ndarray) -> Rows:
    """The same rows with other values of ragged arrays."""
    own = {name: Ragged(values, rows.arrays[name].lengths) for name, values in arrays.items()}
    return Rows(rows.ids, rows.split, {**rows.arrays, **own})


def turned(rows: Rows, *, mirrored: bool = False) -> Rows:
    """The same molecules rotated, or reflected, and moved."""
    matrix, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    matrix[:, 0] *= np.linalg.det(matrix) * (-1 if mirrored else 1)
    places = rows.arrays["coordinates"].values @ matrix + [3.0, -2.0, 1.0]
    return changed(rows, coordinates=places.astype(np.float32))


def permuted(rows: Rows) -> Rows:
    """The same molecules with their atoms in other orders."""
    draws, made = np.random.default_rng(2), []
    for i in range(len(rows)):
        one = [rows.arrays[name][i] for name in ("coordinates", "elements", "charges", "bonds")]
        order = draws.permutation(len(one[1]))
        place = np.argsort(order)
        bonds = np.column_stack([place[one[3][:, :2]], one[3][:, 2:]]) if len(one[3]) else one[3]
        made.append(Molecule.of(*(x[order] for x in one[:3]), bonds))
    return Rows(rows.ids, rows.split, {**rows.arrays, **arrays_of(made)})
