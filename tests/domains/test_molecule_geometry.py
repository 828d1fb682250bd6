"""Lengths, angles and torsions, against RDKit's of every molecule alone."""

import numpy as np
import pytest

from reedbench.domains import molecule_geometry, molecule_graphs
from reedbench.domains.molecule import Molecule, arrays_of

Chem = pytest.importorskip("rdkit.Chem")
from rdkit.Chem import AllChem, rdMolTransforms  # noqa: E402 - after the check that it is there

TEXTS = ["CC(=O)Nc1ccccc1", "O", "C#N", "C1CC1", "[H][H]", "CSC"]


@pytest.fixture(scope="module")
def molecules():
    found = []
    for text in TEXTS:
        one = Chem.AddHs(Chem.MolFromSmiles(text))
        AllChem.EmbedMolecule(one, randomSeed=3)
        found.append(one)
    return found


@pytest.fixture(scope="module")
def arrays(molecules):
    return arrays_of([molecule_graphs.molecule_of(one) for one in molecules])


def neighbours(atom):
    return [other.GetIdx() for other in atom.GetNeighbors()]


def test_lengths_have_both_elements_and_the_order_as_their_kind(molecules, arrays):
    expected = []
    for one in molecules:
        for bond in one.GetBonds():
            i, j = bond.GetBeginAtom(), bond.GetEndAtom()
            z = sorted([i.GetAtomicNum(), j.GetAtomicNum()])
            order = 4 if bond.GetIsAromatic() else int(bond.GetBondTypeAsDouble())
            length = rdMolTransforms.GetBondLength(one.GetConformer(), i.GetIdx(), j.GetIdx())
            expected.append(((z[0] * 256 + z[1]) * 256 + order, length))
    values, kinds = molecule_geometry.lengths(arrays)
    np.testing.assert_allclose(sorted(zip(kinds, values, strict=True)), sorted(expected), atol=1e-6)


def test_angles_have_the_element_in_the_middle_as_their_kind(molecules, arrays):
    expected = []
    for one in molecules:
        for atom in one.GetAtoms():
            ends = neighbours(atom)
            expected += [
                (atom.GetAtomicNum(), rdMolTransforms.GetAngleDeg(one.GetConformer(), a, atom.GetIdx(), b))
                for n, a in enumerate(ends)
                for b in ends[n + 1 :]
            ]
    values, kinds = molecule_geometry.angles(arrays)
    np.testing.assert_allclose(sorted(zip(kinds, values, strict=True)), sorted(expected), atol=1e-4)


def test_torsions_are_around_every_bond_and_have_no_sign(molecules, arrays):
    expected = []
    for one in molecules:
        for bond in one.GetBonds():
            j, k = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            for i in neighbours(bond.GetBeginAtom()):
                for m in neighbours(bond.GetEndAtom()):
                    if i != k and m != j and i != m:
                        expected.append(abs(rdMolTransforms.GetDihedralDeg(one.GetConformer(), i, j, k, m)))
    values, kinds = molecule_geometry.torsions(arrays)
    np.testing.assert_allclose(sorted(values), sorted(expected), atol=1e-3)
    assert len(kinds) == len(values)


def test_a_mirror_image_has_the_same_torsions(arrays):
    from reedbench.core.ragged import Ragged

    places = arrays["coordinates"]
    mirrored = {**arrays, "coordinates": Ragged(places.values * np.float32([1, 1, -1]), places.lengths)}
    np.testing.assert_allclose(molecule_geometry.torsions(mirrored)[0], molecule_geometry.torsions(arrays)[0])


def test_molecules_without_bonds_have_nothing():
    alone = arrays_of([Molecule.of([[0, 0, 0]], [2]), Molecule.of([[0, 0, 0], [0, 0, 9]], [2, 2])])
    for of in (molecule_geometry.lengths, molecule_geometry.angles, molecule_geometry.torsions):
        values, kinds = of(alone)
        assert len(values) == len(kinds) == 0
