"""Molecules as rows, and what is refused."""

import numpy as np
import pytest

from reedbench.domains import molecule
from reedbench.domains.molecule import Molecule

WATER = ([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]], [8, 1, 1], None, [(1, 0, 1), (0, 2, 1)])
CHAIN = (np.arange(12.0).reshape(4, 3) ** 1.1, [6, 6, 7, 8], [0, 0, 1, -1], [(2, 3, 1), (0, 1, 2), (2, 1, 4)])


def test_places_are_centred_and_bonds_sorted():
    water = Molecule.of(*WATER)
    np.testing.assert_allclose(water.coordinates.mean(0), 0, atol=1e-7)
    assert water.bonds.tolist() == [[0, 1, 1], [0, 2, 1]]
    assert water.charges.tolist() == [0, 0, 0]
    assert [array.dtype for array in (water.coordinates, water.elements, water.charges, water.bonds)] == [
        np.float32, np.uint8, np.int8, np.uint8,
    ]  # fmt: skip


def test_rows_and_matrices_give_the_molecules_back():
    both = [Molecule.of(*WATER), Molecule.of(*CHAIN)]
    arrays = molecule.arrays_of(both)
    matrices = molecule.order_matrices(arrays["bonds"], 5)
    assert matrices.shape == (2, 5, 5)
    for i, one in enumerate(both):
        again = molecule.molecule_of(arrays, i)
        assert all((getattr(one, name) == getattr(again, name)).all() for name in molecule.ARRAYS)
        assert (matrices[i, : len(one), : len(one)] == one.orders()).all()
        assert (molecule.bonds_of(matrices[i]) == one.bonds).all()
        assert (matrices[i] == matrices[i].T).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"elements": [8, 1]}, r"\(3, 3\) coordinates for \(2,\) elements"),
        ({"coordinates": np.zeros((0, 3)), "elements": [], "bonds": ()}, "it has no atom"),
        ({"coordinates": np.zeros((256, 3)), "elements": [1] * 256}, "it has 256 atoms, and 255 are possible"),
        ({"coordinates": [[0, 0, 0], [0, np.nan, 0], [1, 1, 1]]}, "atom 2 has a place that is NaN"),
        ({"elements": [8, 1, 0]}, "atom 3 has the atomic number 0"),
        ({"elements": [8, 1, 120]}, "atom 3 has the atomic number 120"),
        ({"charges": [0, 0, -128]}, "atom 3 has the charge -128"),
        ({"bonds": [(0, 3, 1)]}, "a bond joins atom 4 of 3"),
        ({"bonds": [(-1, 0, 1)]}, "a bond has the index -1; atoms are counted from 0"),
        ({"bonds": [(0, 1, np.nan)]}, "bonds are whole numbers, and one is nan"),
        ({"elements": [8, 1, np.nan]}, "atomic numbers are whole numbers, and one is nan"),
        ({"elements": [8, 1.5, 1]}, "atomic numbers are whole numbers, and one is 1.5"),
        ({"charges": [0, np.inf, 0]}, "charges are whole numbers, and one is inf"),
        ({"bonds": [(1, 1, 1)]}, "joins an atom with itself"),
        ({"bonds": [(0, 1, 1), (1, 0, 2)]}, "two bonds join the same atoms"),
        ({"bonds": [(0, 1, 5)]}, "an order that is not 1 to 4"),
    ],
)
def test_what_is_no_molecule_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        Molecule.of(**(dict(zip(("coordinates", "elements", "charges", "bonds"), WATER, strict=True)) | change))


def test_fragments_are_what_bonds_join():
    pair = Molecule.of(
        np.arange(21.0).reshape(7, 3), [6, 8, 1, 6, 1, 8, 1], None, [(5, 1, 1), (0, 3, 1), (3, 4, 1), (6, 5, 1)]
    )
    assert molecule.fragments(pair).tolist() == [0, 1, 2, 0, 0, 1, 1]
    assert molecule.fragments(Molecule.of(*WATER)).tolist() == [0, 0, 0]


def test_chosen_atoms_keep_the_bonds_between_them():
    chain = Molecule.of(*CHAIN)
    some = molecule.chosen(chain, np.array([3, 1, 2]))
    assert some.elements.tolist() == [8, 6, 7]
    assert some.charges.tolist() == [-1, 0, 1]
    assert some.bonds.tolist() == [[0, 2, 1], [1, 2, 4]]
    np.testing.assert_allclose(some.coordinates.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(
        some.coordinates[0] - some.coordinates[1], chain.coordinates[3] - chain.coordinates[1], atol=1e-5
    )


def test_symbols_are_at_their_numbers():
    assert {name: molecule.NUMBERS[name] for name in ("H", "C", "Br", "I", "Hg", "Bi")} == {
        "H": 1, "C": 6, "Br": 35, "I": 53, "Hg": 80, "Bi": 83,
    }  # fmt: skip
