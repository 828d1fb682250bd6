"""Molecules with conformers, and evidence of them as the evaluate step gives it to metrics."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from reedbench.core.ragged import Texts
from reedbench.domains import molecule, molecule_graphs
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import Rows
from reedbench.steps.evidence import CellEvidence

TRAINING = ("CCO", "CC(=O)O", "c1ccccc1", "CCN", "C[C@H](O)F")


@cache
def embedded(text: str) -> Molecule:
    """A molecule at a minimum of nothing: distance geometry alone."""
    found = Chem.AddHs(Chem.MolFromSmiles(text))
    AllChem.EmbedMolecule(found, randomSeed=7)
    return molecule_graphs.molecule_of(found)


def rows(molecules: Sequence[Molecule], split: str = "sample") -> Rows:
    """As samples have them."""
    return Rows(
        [f"{split}-{i}" for i in range(len(molecules))], [split] * len(molecules), molecule.arrays_of(molecules)
    )


def training(texts: Sequence[str] = TRAINING) -> Rows:
    """As data have them."""
    found = rows([embedded(text) for text in texts], "train")
    letters = Texts.of([np.frombuffer(molecule_graphs.canonical(text).encode(), np.uint8) for text in texts])
    return Rows(found.ids, found.split, {**found.arrays, "smiles": letters})


def evidence(*samples: str | Molecule, known: Sequence[str] = TRAINING) -> CellEvidence:
    """Of samples, given as SMILES or as they are."""
    found = rows([embedded(one) if isinstance(one, str) else one for one in samples])
    return CellEvidence(found, found, training=lambda: training(known))


def broken() -> Molecule:
    """A carbon with five hydrogens, which RDKit does not sanitise."""
    places = np.concatenate([np.zeros((1, 3)), np.eye(5, 3) * 1.09 + np.arange(5)[:, None] * 0.3])
    return Molecule.of(places, [6, 1, 1, 1, 1, 1], None, [(0, i, 1) for i in range(1, 6)])


def undecided() -> Molecule:
    """Atoms of which no element was decided."""
    return Molecule(
        np.eye(3, dtype=np.float32), np.zeros(3, np.uint8), np.zeros(3, np.int8), np.zeros((0, 3), np.uint8)
    )


def joined(*molecules: Molecule) -> Molecule:
    """Several as the fragments of one, far apart."""
    places = [one.coordinates + 50 * i for i, one in enumerate(molecules)]
    first = np.cumsum([0, *map(len, molecules)])
    bonds = [one.bonds + np.array([at, at, 0]) for one, at in zip(molecules, first[:-1], strict=True)]
    parts = (np.concatenate([getattr(one, name) for one in molecules]) for name in ("elements", "charges"))
    return Molecule.of(np.concatenate(places), *parts, np.concatenate(bonds))
