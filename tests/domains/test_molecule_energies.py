"""Energies under MMFF94, against RDKit's own functions in their usual order."""

import numpy as np
import pytest

from reedbench.domains import molecule_energies, molecule_graphs
from reedbench.domains.molecule import Molecule

Chem = pytest.importorskip("rdkit.Chem")
from rdkit.Chem import AllChem  # noqa: E402 - after the check that it is there


def embedded(text, seed=1):
    found = Chem.AddHs(Chem.MolFromSmiles(text))
    AllChem.EmbedMolecule(found, randomSeed=seed)
    return found


@pytest.mark.parametrize("text", ["CCO", "c1ccccc1C(=O)O", "C[NH3+]", "CC(=O)NC1CCCC1"])
def test_energies_are_those_of_rdkits_optimiser(text):
    graph = molecule_graphs.graph(molecule_graphs.molecule_of(embedded(text)))
    before = graph.GetConformer().GetPositions()
    found = molecule_energies.relaxed(graph)
    np.testing.assert_array_equal(graph.GetConformer().GetPositions(), before)
    other = Chem.Mol(graph)

    def energy(one):
        return AllChem.MMFFGetMoleculeForceField(one, AllChem.MMFFGetMoleculeProperties(one)).CalcEnergy()

    assert found.energy == pytest.approx(energy(other), rel=1e-12)
    assert AllChem.MMFFOptimizeMolecule(other, maxIters=1000) == 0
    assert found.relaxed == pytest.approx(energy(other), abs=1e-6)
    assert found.relaxed < found.energy
    assert found.rmsd == pytest.approx(AllChem.AlignMol(other, graph), abs=1e-6)


def test_a_molecule_at_its_minimum_has_no_strain():
    at_rest = embedded("CCO")
    AllChem.MMFFOptimizeMolecule(at_rest, maxIters=5000)
    found = molecule_energies.relaxed(at_rest)
    assert found.energy - found.relaxed == pytest.approx(0, abs=1e-3)
    assert found.rmsd == pytest.approx(0, abs=1e-2)


def test_without_parameters_there_is_nothing():
    mercury = molecule_graphs.graph(Molecule.of(np.eye(3), [80, 17, 17], None, [(0, 1, 1), (0, 2, 1)]))
    assert np.isnan([*vars(molecule_energies.relaxed(mercury)).values()]).all()


def test_where_the_optimiser_does_not_converge_there_is_an_energy_and_no_strain(monkeypatch):
    monkeypatch.setattr(molecule_energies, "ITERATIONS", 1)
    found = molecule_energies.relaxed(embedded("CCCCCCO"))
    assert np.isfinite(found.energy)
    assert np.isnan([found.relaxed, found.rmsd]).all()


def test_atoms_in_one_place_are_no_error():
    graph = molecule_graphs.graph(
        Molecule(np.zeros((3, 3), np.float32), np.array([8, 1, 1], np.uint8), np.zeros(3, np.int8),
                 np.array([[0, 1, 1], [0, 2, 1]], np.uint8))
    )  # fmt: skip
    found = molecule_energies.relaxed(graph)
    assert not np.isinf([found.energy, found.relaxed, found.rmsd]).any()


def test_rmsd_knows_rotations_and_no_mirror():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(9, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    assert molecule_energies.rmsd(points, points @ turn + 5) == pytest.approx(0, abs=1e-7)
    mirrored = molecule_energies.rmsd(points, points * [1, 1, -1])
    from scipy.spatial.transform import Rotation

    centred, other = points - points.mean(0), (points - points.mean(0)) * [1, 1, -1]
    _, distance = Rotation.align_vectors(centred, other)
    assert mirrored == pytest.approx(distance / np.sqrt(9), rel=1e-9)
    assert mirrored > 0.1
    flat = points * [1, 1, 0]  # a mirror image of what is flat is a rotation of it
    assert molecule_energies.rmsd(flat, flat * [1, -1, 1]) == pytest.approx(0, abs=1e-7)
    assert molecule_energies.rmsd(points[:1], points[1:2]) == 0
