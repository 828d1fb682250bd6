"""Molecules as RDKit's, and back."""

import numpy as np
import pytest

from reedbench.domains import molecule_graphs
from reedbench.domains.molecule import Molecule, chosen

Chem = pytest.importorskip("rdkit.Chem")
from rdkit.Chem import AllChem  # noqa: E402 - after the check that it is there


def embedded(text):
    found = Chem.AddHs(Chem.MolFromSmiles(text))
    AllChem.EmbedMolecule(found, randomSeed=1)
    return found


@pytest.mark.parametrize("text", ["CCO", "c1ccccc1", "C[N+](=O)[O-]", "C[C@H](O)F", "[nH]1cccc1", "[O-]C(=O)C[NH3+]"])
@pytest.mark.parametrize("kekule", [False, True])
def test_there_and_back(text, kekule):
    original = embedded(text)
    if kekule:
        Chem.Kekulize(original, clearAromaticFlags=True)
    ours = molecule_graphs.molecule_of(original)
    again = molecule_graphs.graph(ours)
    assert molecule_graphs.smiles(again) == Chem.MolToSmiles(Chem.MolFromSmiles(text), isomericSmiles=False)
    np.testing.assert_allclose(again.GetConformer().GetPositions(), ours.coordinates, atol=1e-6)


def test_what_rdkit_does_not_sanitise_is_none():
    crowded = Molecule.of(
        np.eye(6, 3) + np.arange(6)[:, None], [6, 1, 1, 1, 1, 1], None, [(0, i, 1) for i in range(1, 6)]
    )
    assert molecule_graphs.graph(crowded) is None
    assert molecule_graphs.graph(crowded, sanitise=False).GetNumAtoms() == 6
    undecided = Molecule(crowded.coordinates, np.zeros(6, np.uint8), crowded.charges, crowded.bonds)
    assert molecule_graphs.graph(undecided) is None


def test_a_dative_bond_and_a_flat_file_are_refused():
    dative = Chem.MolFromSmiles("[NH3]->[Zn]")
    dative.AddConformer(Chem.Conformer(2))
    with pytest.raises(ValueError, match="a bond of kind dative"):
        molecule_graphs.molecule_of(dative)
    with pytest.raises(ValueError, match="no coordinates"):
        molecule_graphs.molecule_of(Chem.MolFromSmiles("CC"))


@pytest.mark.parametrize("kekule", [False, True])
def test_a_sanitised_graph_is_described_as_rows_have_it(kekule):
    original = embedded("c1ccccc1C")
    found = molecule_graphs.graph(molecule_graphs.molecule_of(original))
    if kekule:
        Chem.Kekulize(original, clearAromaticFlags=True)
    wanted = molecule_graphs.molecule_of(original)
    charges, bonds = molecule_graphs.described(found, kekule=kekule)
    np.testing.assert_array_equal(bonds, wanted.bonds)
    np.testing.assert_array_equal(charges, wanted.charges)
    assert (charges.dtype, bonds.dtype) == (np.int8, np.uint8)
    assert molecule_graphs.smiles(found) == "Cc1ccccc1"  # as it was


def test_hydrogens_that_are_missing_are_seen():
    whole = molecule_graphs.molecule_of(embedded("CCO"))
    assert not molecule_graphs.lacks_hydrogens(molecule_graphs.graph(whole))
    bare = molecule_graphs.molecule_of(Chem.RemoveHs(embedded("CCO")))
    assert molecule_graphs.lacks_hydrogens(molecule_graphs.graph(bare))


@pytest.mark.parametrize(
    ("whole", "atom", "expected"),
    [("C", 0, "[CH3]"), ("CCO", 2, "CC[O]"), ("c1ccccc1", 3, "[c]1ccccc1"), ("C=O", 0, "[CH]=O")],
)
def test_a_hydrogen_that_is_missing_makes_another_molecule(whole, atom, expected):
    found = Chem.RWMol(embedded(whole))
    found.RemoveAtom(next(one.GetIdx() for one in found.GetAtomWithIdx(atom).GetNeighbors() if one.GetAtomicNum() == 1))
    broken = molecule_graphs.molecule_of(found)
    for order in (np.arange(len(broken)), np.arange(len(broken))[::-1]):
        graph = molecule_graphs.graph(chosen(broken, order))
        assert molecule_graphs.lacks_hydrogens(graph)
        assert molecule_graphs.smiles(graph) == expected
        assert sum(one.GetNumRadicalElectrons() for one in graph.GetAtoms()) == 0  # it stays as it was
    assert molecule_graphs.canonical(expected) == expected != molecule_graphs.canonical(whole)


@pytest.mark.parametrize("text", ["CCO", "c1ccccc1", "C#N", "CC(=O)N"])
def test_bonds_are_determined_from_places(text):
    whole = molecule_graphs.molecule_of(embedded(text))
    bare = Molecule(whole.coordinates, whole.elements, whole.charges, np.zeros((0, 3), np.uint8))
    found = molecule_graphs.determined(bare)
    assert molecule_graphs.smiles(molecule_graphs.graph(found)) == Chem.MolToSmiles(Chem.MolFromSmiles(text))
    np.testing.assert_array_equal(found.bonds[:, :2], whole.bonds[:, :2])
    np.testing.assert_array_equal(found.coordinates, whole.coordinates)


def test_places_that_fit_no_bonds_have_none():
    crowd = Molecule.of(np.random.default_rng(0).normal(size=(7, 3)), [6, 1, 1, 1, 1, 1, 1])
    assert molecule_graphs.determined(crowd) is None
