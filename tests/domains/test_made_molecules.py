"""All small molecules by rules: none is missing, none is too much; and their conformers."""

from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest

from reedbench.domains import made_molecules, molecule_graphs
from reedbench.domains.bond_distances import perceived
from reedbench.domains.molecule import Molecule

Chem = pytest.importorskip("rdkit.Chem")
LETTERS = {"C": 4, "N": 3, "O": 2, "F": 1}


def obeys(found) -> bool:
    """Whether a molecule follows the rules, read anew from its graph."""
    kekule = Chem.Mol(found)
    Chem.Kekulize(kekule, clearAromaticFlags=True)
    orders = {b.GetIdx(): int(b.GetBondTypeAsDouble()) for b in kekule.GetBonds()}
    double = [sum(b.GetBondTypeAsDouble() == 2 for b in atom.GetBonds()) for atom in kekule.GetAtoms()]
    rings = [set(ring) for ring in kekule.GetRingInfo().BondRings()]
    small = [ring for ring in rings if len(ring) < 5]
    patterns = [
        "[N,n,O,o,F]~[N,n,O,o,F]",
        *("[#7,#8;!H0]-[CX4]-[N,O,F]", "[#7,#8;!H0]-C=C", "[O;!H0]-C=N", "F-C=N", "[N,O]-C#[*]"),
    ]
    return (
        any(atom.GetAtomicNum() == 6 for atom in kekule.GetAtoms())
        and max(double) < 2
        and len(rings) <= 2
        and len(small) <= 1
        and all(len(one & other) < 2 for one, other in combinations(rings, 2))
        and not any(orders[bond] > 1 for ring in small for bond in ring)
        and not any(orders[bond] > 2 for ring in rings for bond in ring)
        and not any(found.HasSubstructMatch(Chem.MolFromSmarts(pattern)) for pattern in patterns)
    )


def every_graph(atoms: int) -> set[str]:
    """Canonical SMILES of all connected graphs that valences allow and that obey the rules: tried one by one."""
    pairs, found = list(combinations(range(atoms), 2)), set()
    for symbols in combinations_with_replacement(LETTERS, atoms):
        for orders in product(range(4), repeat=len(pairs)):
            used = [sum(o for o, pair in zip(orders, pairs, strict=True) if i in pair) for i in range(atoms)]
            if (
                any(n > LETTERS[symbol] for n, symbol in zip(used, symbols, strict=True))
                or sum(map(bool, orders)) < atoms - 1
            ):
                continue
            made = Chem.RWMol()
            for symbol in symbols:
                made.AddAtom(Chem.Atom(symbol))
            for (i, j), order in zip(pairs, orders, strict=True):
                if order:
                    made.AddBond(i, j, Chem.BondType.values[order])
            Chem.SanitizeMol(made)
            if len(Chem.GetMolFrags(made)) == 1 and obeys(made):
                found.add(Chem.MolToSmiles(made))
    return found


def test_all_molecules_of_up_to_four_atoms_are_there_and_no_others():
    made = made_molecules.enumerated(4)
    assert len(made) == len(set(made)) == 142
    assert set(made) == set().union(*(every_graph(atoms) for atoms in range(1, 5)))


def test_larger_ones_obey_the_rules_and_are_named_canonically():
    made = made_molecules.enumerated(5)
    assert len(made) == len(set(made)) == 632
    assert made[:142] == made_molecules.enumerated(4)
    for smiles in made[142:]:
        found = Chem.MolFromSmiles(smiles)
        assert found.GetNumAtoms() == 5
        assert Chem.MolToSmiles(found) == smiles
        assert obeys(found), smiles
    assert {"c1cc[nH]c1", "COC(C)=O", "CC(F)(F)F", "C#CC#CC"} <= set(made)


@pytest.mark.parametrize("smiles", ["C", "COC(C)=O", "c1ccoc1", "C#CCF"])
def test_conformers_are_relaxed_molecules_of_their_smiles(smiles):
    made, energy = made_molecules.conformer(smiles, 3)
    assert isinstance(made, Molecule)
    assert np.isfinite(energy)
    assert molecule_graphs.smiles(molecule_graphs.graph(made)) == smiles
    found = perceived(made.coordinates, made.elements)
    np.testing.assert_array_equal(found[:, :2], made.bonds[:, :2])  # atoms that are joined, and no others, are near
    again, same = made_molecules.conformer(smiles, 3)
    assert again.coordinates.tobytes() == made.coordinates.tobytes()
    assert same == energy


def test_another_seed_makes_another_conformer():
    one, other = (made_molecules.conformer("CCOCC", seed)[0] for seed in (1, 2))
    assert np.abs(one.coordinates - other.coordinates).max() > 0.1


def test_a_molecule_that_cannot_be_embedded_is_none(monkeypatch):
    from rdkit.Chem import rdDistGeom

    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", lambda *_: -1)
    assert made_molecules.conformer("CCO", 1) is None
    monkeypatch.undo()
    monkeypatch.setattr(made_molecules, "ATTEMPTS", 0)
    assert made_molecules.conformer("CCOCC", 1) is None
