"""Small molecules in the files that the datasets of molecules read, and the step that prepares them."""

import tarfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.datasets import AbstractDataset
from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import SYMBOLS, Molecule

FEW = ("CCO", "CC=O", "C#N", "CCCO", "CC(N)=O", "O", "COC", "CCF")


@cache
def graph(smiles: str, seed: int = 1) -> Any:
    """An RDKit molecule with its hydrogens and a relaxed conformer, somewhere in space."""
    chem = molecule_graphs.rdkit()
    from rdkit.Chem import AllChem

    found = chem.AddHs(chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(found, randomSeed=seed) == 0
    AllChem.MMFFOptimizeMolecule(found)
    conformer = found.GetConformer()
    conformer.SetPositions(conformer.GetPositions() + np.array([1.5, -2.0, 0.25]))
    return found


@cache
def kekule(smiles: str, seed: int = 1) -> Molecule:
    """The same as ours, its bonds single, double and triple."""
    chem = molecule_graphs.rdkit()
    found = chem.Mol(graph(smiles, seed))
    chem.Kekulize(found, clearAromaticFlags=True)
    return molecule_graphs.molecule_of(found)


def block(smiles: str, tags: Mapping[str, str] = {}, *, v3000: bool = False, title: str = "", seed: int = 1) -> str:
    """A record of an SDF file."""
    chem = molecule_graphs.rdkit()
    found = chem.Mol(graph(smiles, seed))
    found.SetProp("_Name", title)
    table = chem.MolToMolBlock(found, forceV3000=v3000)
    return table + "".join(f">  <{name}>\n{value}\n\n" for name, value in tags.items()) + "$$$$\n"


def flat(molecules: Sequence[Molecule], **more: Any) -> dict[str, np.ndarray]:
    """Arrays of an npz with offsets; others replace them, and those that are None go."""
    bonds = np.concatenate([np.zeros((0, 3), np.uint8), *(one.bonds for one in molecules)])
    arrays: dict[str, Any] = {
        "atom_offset": np.cumsum([0, *map(len, molecules)]),
        "atomic_number": np.concatenate([np.zeros(0, np.uint8), *(one.elements for one in molecules)]),
        "position": np.concatenate([np.zeros((0, 3), np.float32), *(one.coordinates for one in molecules)]) + 1,
        "charge": np.concatenate([np.zeros(0, np.int8), *(one.charges for one in molecules)]),
        "bond_offset": np.cumsum([0, *(len(one.bonds) for one in molecules)]),
        "bond_index": bonds[:, :2],
        "bond_order": bonds[:, 2],
    }
    return {name: array for name, array in (arrays | more).items() if array is not None}


def padded(molecules: Sequence[Molecule], longest: int = 14, **more: Any) -> dict[str, np.ndarray]:
    """EDM's arrays."""
    elements, places = np.zeros((len(molecules), longest), int), np.zeros((len(molecules), longest, 3))
    for row, one in enumerate(molecules):
        elements[row, : len(one)], places[row, : len(one)] = one.elements, one.coordinates
    return {"num_atoms": np.array(list(map(len, molecules))), "charges": elements, "positions": places} | more


def saved(file: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """The path of an npz file with the arrays."""
    np.savez(file, **arrays)
    return str(file)


def some(file: Path, smiles: Sequence[str] = FEW, **more: Any) -> str:
    """The path of an npz file with these molecules."""
    return saved(file, flat([kekule(one) for one in smiles], **more))


def xyz(smiles: str, number: int) -> str:
    """A file of QM9's archive; numbers are written as Mathematica does."""
    one = kekule(smiles)
    properties = "\t".join(str(number + place / 8) for place in range(14)) + "\t-1.25*^-6"
    atoms = [
        f"{SYMBOLS[element]}\t{_mathematica(x)}\t{_mathematica(y)}\t{_mathematica(z)}\t-0.5"
        for element, (x, y, z) in zip(one.elements.tolist(), one.coordinates.tolist(), strict=True)
    ]
    return "\n".join(
        [str(len(one)), f"gdb {number}\t{properties}\t", *atoms, "100.5\t3900.25\t7.0", smiles, "InChI", ""]
    )


def _mathematica(number: float) -> str:
    return f"{number:.6f}" if abs(number) > 1e-3 else f"{number * 1e6:.6f}*^-6"


def archive(file: Path, texts: Sequence[str], first: int = 1) -> None:
    """QM9's archive with these files."""
    with tarfile.open(file, "w:bz2") as packed:
        for number, text in enumerate(texts, first):
            entry = tarfile.TarInfo(f"dsgdb9nsd_{number:06d}.xyz")
            entry.size = len(raw := text.encode())
            packed.addfile(entry, BytesIO(raw))


def prepared(dataset: AbstractDataset) -> None:
    """Run the step that writes its folder."""
    from reedbench.steps.prepare import prepare

    class Suite:
        def dataset(self, name: str) -> AbstractDataset:
            return dataset

    prepare(Suite(), Namespace(dataset=dataset.id))
