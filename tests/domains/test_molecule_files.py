"""Samples as SDF: what RDKit and this package read of it."""

import numpy as np
import pytest

from reedbench.datasets import _sdf
from reedbench.domains import molecule_files
from reedbench.domains.molecule import Molecule

Chem = pytest.importorskip("rdkit.Chem")
PLANAR = Molecule.of([[0, 0.12, 0], [0.76, -0.47, 0], [-0.76, -0.47, 0]], [8, 1, 1], None, [(0, 1, 1), (0, 2, 1)])


def complete(atoms: int, far: float = 1.0, element: int = 6) -> Molecule:
    """Bonds between all atoms, as networks that have learned nothing draw them."""
    places = (np.random.default_rng(0).normal(size=(atoms, 3)) * far).astype(np.float32)
    charges = np.zeros(atoms, np.int8)
    charges[-1] = -2
    pairs = [(i, j, 1 + (i + j) % 3) for i in range(atoms) for j in range(i + 1, atoms)]
    return Molecule(places, np.full(atoms, element, np.uint8), charges, np.array(pairs, np.uint8).reshape(-1, 3))


def text(molecule: Molecule) -> str:
    return "".join(molecule_files.record(molecule, "7"))


@pytest.mark.parametrize(
    ("molecule", "version"),
    [
        (complete(45), "V2000"),  # 990 bonds
        (complete(46), "V3000"),
        (complete(3, 1e3), "V2000"),
        (complete(3, 1e5), "V3000"),
        (complete(3, 1e30), "V3000"),
        (complete(1, 1e6), "V3000"),  # no bonds
    ],
)
def test_rdkit_reads_back_whatever_is_drawn(molecule, version):
    written = text(molecule)
    assert f"999 {version}\n" in written
    assert max(map(len, written.split("\n"))) <= 80
    found = Chem.MolFromMolBlock(written, sanitize=False, removeHs=False)
    assert found.GetProp("_Name") == "7"
    assert [atom.GetFormalCharge() for atom in found.GetAtoms()] == molecule.charges.tolist()
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondTypeAsDouble())) for b in found.GetBonds()]
    assert bonds == [tuple(bond) for bond in molecule.bonds.tolist()]
    np.testing.assert_allclose(found.GetConformer().GetPositions(), molecule.coordinates, rtol=1e-6, atol=1e-4)


def test_atoms_that_were_not_decided_are_written_too():
    for atoms in (3, 46):
        found = Chem.MolFromMolBlock(text(complete(atoms, element=0)), sanitize=False, removeHs=False)
        assert [atom.GetAtomicNum() for atom in found.GetAtoms()] == [0] * atoms


def test_planar_molecules_are_read_as_data():
    assert text(PLANAR).split("\n")[1][20:22] == "3D"
    parsed = _sdf.parsed(text(PLANAR).encode())
    assert (parsed.elements, parsed.bonds) == ([8, 1, 1], [(0, 1, 1), (0, 2, 1)])
    far = Molecule(PLANAR.coordinates * np.float32(1e6), PLANAR.elements, PLANAR.charges, PLANAR.bonds)
    assert len(_sdf.parsed(text(far).encode()).elements) == 3
