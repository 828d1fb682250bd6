"""Pictures of what is no molecule: words, in no time."""

import numpy as np
import pytest

from reedbench.domains import molecule_pictures
from reedbench.domains.molecule import DOUBLE, SINGLE, Molecule

pytest.importorskip("rdkit.Chem")
SIDE = molecule_pictures.SIDE


def made(elements, bonds=(), spread: float = 3.0) -> Molecule:
    places = (np.random.default_rng(0).normal(size=(len(elements), 3)) * spread).astype(np.float32)
    table = np.array(bonds, np.uint8).reshape(-1, 3)
    return Molecule(places, np.array(elements, np.uint8), np.zeros(len(elements), np.int8), table)


def complete(atoms: int, order: int = SINGLE) -> list[tuple[int, int, int]]:
    return [(i, j, order) for i in range(atoms) for j in range(i + 1, atoms)]


@pytest.fixture
def said(monkeypatch):
    """Words that stood in place of pictures."""
    found, known = [], molecule_pictures._said
    monkeypatch.setattr(molecule_pictures, "_said", lambda *given: found.append(given[1:]) or known(*given))
    return found


@pytest.mark.parametrize(
    "bonds",
    [complete(46, DOUBLE), complete(18)[::2], [(0, i, SINGLE) for i in range(1, 10)], complete(6)],
    ids=["complete", "dense", "star", "small"],
)
def test_graphs_that_no_molecule_has_are_said_in_words(bonds, said):
    atoms = 1 + max(max(bond[:2]) for bond in bonds)
    picture = molecule_pictures.flat(made([6] * atoms, bonds))
    assert picture.shape == (SIDE, SIDE, 3)
    assert (picture < 128).any()
    assert len(said) == 1


def test_what_rdkit_fails_to_draw_is_said_in_words(said, monkeypatch):
    from rdkit.Chem import AllChem

    def fails(found):
        raise RuntimeError("Pre-condition Violation")

    monkeypatch.setattr(AllChem, "Compute2DCoords", fails)
    assert (molecule_pictures.flat(made([6, 6], [(0, 1, 1)])) < 128).any()
    assert said == [()]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_places_that_are_no_numbers_are_said_in_words(wrong, said):
    one = made([6, 8], [(0, 1, 2)])
    one.coordinates[1, 2] = wrong
    assert (molecule_pictures.still(one) < 128).any()
    assert said == [("no places",)]
    assert molecule_pictures.montage([one]).shape == (2 * SIDE, SIDE, 3)


def drawn(monkeypatch, one: Molecule):
    """The atoms that RDKit was asked to draw, by symbol, label and hydrogens, and how thick the bonds were."""
    from rdkit.Chem.Draw import rdMolDraw2D

    seen = []

    class Watched(rdMolDraw2D.MolDraw2DCairo):
        def DrawMolecule(self, found):
            seen.append(found)
            seen.append(self.drawOptions().bondLineWidth)
            super().DrawMolecule(found)

    monkeypatch.setattr(rdMolDraw2D, "MolDraw2DCairo", Watched)
    molecule_pictures.flat(one)
    found, width = seen
    atoms = [
        (atom.GetSymbol(), atom.GetProp("atomLabel") if atom.HasProp("atomLabel") else "", atom.GetTotalNumHs())
        for atom in found.GetAtoms()
    ]
    return atoms, width


def test_undecided_atoms_are_drawn_and_no_hydrogen_is_invented(monkeypatch):
    atoms, _ = drawn(monkeypatch, made([6, 0, 1], [(0, 1, 1)]))
    assert atoms == [("C", "", 0), ("*", "X", 0), ("H", "", 0)]
    atoms, _ = drawn(monkeypatch, made([1, 8, 6]))  # valid, as radicals
    assert atoms == [("H", "", 0), ("O", "", 0), ("C", "", 0)]


def test_lines_are_finer_where_atoms_are_many(monkeypatch):
    widths = [drawn(monkeypatch, made([6] * n, [(i, i + 1, 1) for i in range(n - 1)]))[1] for n in (5, 40, 200)]
    assert widths == [4, 2, 1]
