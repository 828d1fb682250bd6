"""Sums of orders of bonds against the tables."""

import numpy as np
import pytest

from reedbench.core.ragged import Ragged
from reedbench.domains import molecule_graphs, valence
from reedbench.domains.molecule import AROMATIC, SYMBOLS, Molecule, arrays_of

Chem = pytest.importorskip("rdkit.Chem")
from rdkit.Chem import AllChem  # noqa: E402 - after the check that it is there


def read(text):
    """A molecule from SMILES, as RDKit has it; its bonds aromatic where they are."""
    found = Chem.AddHs(Chem.MolFromSmiles(text))
    AllChem.Compute2DCoords(found)
    return molecule_graphs.molecule_of(found)


def stable(rule, *molecules) -> list[list[bool]]:
    return [row.tolist() for row in valence.stable_atoms(arrays_of(molecules), rule)]


def bonded(elements, bonds, charges=None):
    """A molecule whose places do not matter."""
    return Molecule.of(np.arange(3.0 * len(elements)).reshape(-1, 3), elements, charges, bonds)


METHYL = bonded([6, 1, 1, 1], [(0, 1, 1), (0, 2, 1), (0, 3, 1)])


@pytest.mark.parametrize(
    "text",
    ["c1ccccc1", "c1cc[nH]c1", "c1ccsc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C", "c1ccc2ccccc2c1", "[NH4+]", "C[N+](=O)[O-]",
     "[O-]c1ccccc1"],
)  # fmt: skip
def test_known_molecules_are_stable_by_both_rules_for_own_bonds(text):
    """Section 9.8: by the reference's rule RDKit's aromatic graphs are fully stable."""
    for rule in ("legacy", "corrected"):
        (found,) = stable(rule, read(text))
        assert all(found), rule


def test_the_legacy_table_passes_radicals_and_refuses_the_sulfur_of_dmso():
    assert stable("legacy", METHYL) == [[True] * 4]
    assert stable("corrected", METHYL) == [[False, True, True, True]]
    dmso = read("CS(C)=O")
    (found,) = stable("legacy", dmso)
    assert [SYMBOLS[z] for z, ok in zip(dmso.elements, found, strict=True) if not ok] == ["S"]


def test_charges_matter_but_to_the_rule_of_distances():
    ammonium = bonded([7, 1, 1, 1, 1], [(0, i, 1) for i in range(1, 5)], [1, 0, 0, 0, 0])
    neutral = bonded([7, 1, 1, 1, 1], [(0, i, 1) for i in range(1, 5)])
    ammonia = bonded([7, 1, 1, 1], [(0, i, 1) for i in range(1, 4)], [1, 0, 0, 0])
    assert [found[0] for found in stable("corrected", ammonium, neutral, ammonia)] == [True, False, False]
    assert [found[0] for found in stable("edm", ammonium, neutral, ammonia)] == [False, False, True]


def test_what_no_table_names_is_not_stable():
    odd = Molecule(np.zeros((3, 3), np.float32), np.array([0, 2, 1], np.uint8), np.array([0, 0, 9], np.int8),
                   np.array([[0, 1, 3], [1, 2, 1]], np.uint8))  # fmt: skip
    assert stable("legacy", odd) == [[False] * 3]
    assert stable("corrected", odd) == [[False] * 3]
    assert stable("edm", odd) == [[False, False, True]]  # it looks at no charge
    crowded = bonded([6] * 12, [(0, i, 3) for i in range(1, 12)])  # 33 is beyond the table
    assert stable("edm", crowded)[0][0] is False


def test_where_aromatic_bonds_have_no_kekule_form_their_atoms_alone_are_not_stable():
    ring = [(i, (i + 1) % 5, AROMATIC) for i in range(5)]
    five = bonded([6] * 5 + [6, 1, 1, 1], [*ring, (0, 5, 1), (5, 6, 1), (5, 7, 1), (5, 8, 1)])
    (found,) = stable("corrected", five)
    assert found == [False] * 5 + [True] * 4
    assert valence.kekule(arrays_of([five])).values.tolist() == five.bonds.tolist()


def test_a_molecule_that_is_not_valid_elsewhere_has_its_kekule_form():
    benzene = read("c1ccccc1")
    five = Molecule.of(
        np.concatenate([benzene.coordinates, np.eye(6, 3) + 9]),
        [*benzene.elements, 6, 1, 1, 1, 1, 1],
        None,
        [*benzene.bonds.tolist(), *((12, i, 1) for i in range(13, 18))],
    )
    assert molecule_graphs.graph(five) is None
    (found,) = stable("corrected", five)
    assert found == [True] * 12 + [False] + [True] * 5


def test_crowded_aromatic_atoms_are_not_stable_and_nothing_is_searched_for(monkeypatch):
    pairs = [(i, j, AROMATIC) for i in range(18) for j in range(i + 1, 18) if (i + j) % 2]
    benzene, asked = read("c1ccccc1"), list[int]()
    known = molecule_graphs.kekule_orders
    monkeypatch.setattr(molecule_graphs, "kekule_orders", lambda one: asked.append(len(one)) or known(one))
    dense, ring = stable("corrected", bonded([6] * 18, pairs), benzene)
    assert (dense, ring, asked) == ([False] * 18, [True] * 12, [12])


def test_totals_are_those_of_the_matrix_of_orders():
    molecules = [read(text) for text in ("CC(=O)O", "C#N", "O", "[He]")]
    arrays = arrays_of(molecules)
    expected = np.concatenate([one.orders().sum(0) for one in molecules])
    np.testing.assert_array_equal(valence.totals(arrays["elements"], arrays["bonds"]), expected)
    pyridine = arrays_of([read("c1ccncc1")])
    np.testing.assert_array_equal(valence.totals(pyridine["elements"], pyridine["bonds"], 1.5)[:6], [4, 4, 4, 3, 4, 4])


def test_sums_are_of_rows_with_empty_ones_among_them():
    assert valence.sums(Ragged(np.array([1, 0, 1, 1], bool), np.array([0, 2, 0, 2, 0]))).tolist() == [0, 1, 0, 2, 0]


def test_tables_say_their_source_and_hold_what_the_specification_says():
    for rule in valence.RULES:
        first = (valence.TABLES / f"valence_{rule}.csv").read_text().split("element,charge")[0]
        assert "Source: " in first

    def allows(rule, symbol, charge):
        found = valence.table(rule)[SYMBOLS.index(symbol), charge + 4]
        return np.flatnonzero(found).tolist()

    assert [allows("edm", *atom) for atom in (("S", 0), ("P", 0), ("C", 3), ("Se", 0))] == [[4], [3, 5], [4], []]
    assert [allows("legacy", *atom) for atom in (("N", 1), ("S", 0), ("B", -1), ("C", 2))] == [
        [2, 3, 4], [2, 6], [3], [],
    ]  # fmt: skip
    assert [allows("corrected", *atom) for atom in (("S", 0), ("S", 3), ("B", -1), ("N", -2), ("I", 2))] == [
        [2, 3, 6], [2, 5], [4], [1], [3],
    ]  # fmt: skip
