"""EDM's rule, all at once, against the rule pair by pair."""

import csv
import math
import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.core import io
from reedbench.core.ragged import Ragged
from reedbench.domains import bond_distances
from reedbench.domains.molecule import NUMBERS, Molecule, order_matrices

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data")) / "qm9_test.npz"
H, C, N, O, F = 1, 6, 7, 8, 9  # noqa: E741


def table() -> list[dict[tuple[int, int], float]]:
    """B1, B2, B3: pm by the two elements, in both orders."""
    found: list[dict[tuple[int, int], float]] = [{}, {}, {}]
    with bond_distances.TABLE.open() as file:
        for line in csv.DictReader(line for line in file if not line.startswith("#")):
            one, other = NUMBERS[line["first"]], NUMBERS[line["second"]]
            for pair in ((one, other), (other, one)):
                found[int(line["order"]) - 1][pair] = float(line["picometres"])
    return found


def pair_by_pair(places, elements) -> np.ndarray:
    """The rule as its authors write it: two loops and nested conditions."""
    single, double, triple = table()
    found = np.zeros((len(elements), len(elements)), np.uint8)
    for i, one in enumerate(elements.tolist()):
        for j, other in enumerate(elements.tolist()):
            if i == j or (one, other) not in single:
                continue
            d = 100 * math.dist(places[i].tolist(), places[j].tolist())
            if d < single[one, other] + 10:
                found[i, j] = 1
                if (one, other) in double and d < double[one, other] + 5:
                    found[i, j] = 2
                    if (one, other) in triple and d < triple[one, other] + 3:
                        found[i, j] = 3
    return found


def orders(places, elements):
    """(b, N, N): of a padded batch."""
    lengths = np.full(len(elements), elements.shape[1])
    found = bond_distances.perceived_rows(Ragged(places.reshape(-1, 3), lengths), Ragged(elements.ravel(), lengths))
    return order_matrices(found, elements.shape[1])


def pair(one, other, picometres):
    """The order between two atoms."""
    places = np.array([[0, 0, 0], [picometres / 100, 0, 0]])
    return int(orders(places[None], np.array([[one, other]], np.uint8))[0, 0, 1])


def test_the_table_has_the_published_lengths():
    single, double, triple = table()
    assert (len(set(map(frozenset, single))), len(set(map(frozenset, double))), len(set(map(frozenset, triple)))) == (
        64,
        9,
        4,
    )
    assert single[C, H] == single[H, C] == 109
    assert (single[C, C], double[C, C], triple[C, C]) == (154, 134, 120)
    assert all(triple[key] < double[key] < single[key] for key in triple)


@pytest.mark.parametrize(
    ("elements", "picometres", "order"),
    [
        ((C, C), 164.001, 0),
        ((C, C), 163.999, 1),
        ((C, C), 139.001, 1),
        ((C, C), 138.999, 2),
        ((C, C), 123.001, 2),
        ((C, C), 122.999, 3),
        ((O, C), 124.9, 2),
        ((C, O), 115.9, 3),
        ((O, O), 50.0, 2),  # no triple bond in the table
        ((H, H), 83.9, 1),
        ((H, H), 1.0, 1),
    ],
)
def test_the_order_follows_the_distance(elements, picometres, order):
    assert pair(*elements, picometres) == order


def test_the_comparison_is_strict():
    """H and H: below 74 + 10 pm, and not at it."""
    limit = 0.84
    while 100.0 * limit < 84.0:
        limit = math.nextafter(limit, 2)
    assert pair(H, H, 100 * limit) == 0
    assert pair(H, H, 100 * limit - 1e-9) == 1


def test_pairs_that_the_table_lacks_have_no_bond():
    assert pair(NUMBERS["Hg"], C, 100) == 0


def test_padding_has_no_bonds_wherever_it_lies():
    places = np.zeros((1, 3, 3))
    places[0, 1, 0] = 1.0
    places[0, 2] = np.nan
    found = orders(places, np.array([[C, H, 0]], np.uint8))
    assert found.tolist() == [[[0, 1, 0], [1, 0, 0], [0, 0, 0]]]


def test_a_place_that_is_nan_is_refused():
    places = np.zeros((2, 2, 3))
    places[1, 0, 2] = np.nan
    with pytest.raises(ValueError, match="molecule 2 of 2 has an atom whose place is not finite"):
        orders(places, np.full((2, 2), C, np.uint8))
    with pytest.raises(ValueError, match=r"coordinates \(1, 2, 3\) do not fit elements \(1, 3\)"):
        bond_distances.perceived(np.zeros((2, 3)), np.full(3, C, np.uint8))


def test_random_clouds_of_all_elements_agree_with_the_loop(monkeypatch):
    monkeypatch.setattr(bond_distances, "PLACES", 500)  # so that several chunks are needed
    rng = np.random.default_rng(0)
    known = sorted({element for key in table()[0] for element in key} | {NUMBERS["Hg"]})
    elements = rng.choice([*known, *[C, N, O] * 8], (40, 12)).astype(np.uint8)
    elements[rng.random((40, 12)) < 0.2] = 0
    places = rng.random((40, 12, 3)) * 4
    found = orders(places, elements)
    for row in range(40):
        np.testing.assert_array_equal(found[row], pair_by_pair(places[row], elements[row]))
    assert set(np.unique(found)) == {0, 1, 2, 3}


def test_one_molecule_and_rows_of_molecules_agree_with_the_batch():
    rng = np.random.default_rng(1)
    lengths = [3, 1, 9, 5]
    elements = Ragged(rng.choice([H, C, N, O, F], sum(lengths)).astype(np.uint8), np.array(lengths))
    places = Ragged((rng.random((sum(lengths), 3)) * 2.5).astype(np.float32), np.array(lengths))
    rows = bond_distances.perceived_rows(places, elements)
    np.testing.assert_array_equal(order_matrices(rows, 9), orders(places.padded(9), elements.padded(9)))
    for i in range(4):
        one = bond_distances.perceived(places[i], elements[i])
        np.testing.assert_array_equal(one, rows[i])
        np.testing.assert_array_equal(Molecule.of(places[i], elements[i], None, one).bonds, one)  # sorted already
    assert len(bond_distances.perceived_rows(places[:0], elements[:0])) == 0


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there (REEDBENCH_DATA)")
def test_the_real_molecules_agree_with_the_loop():
    arrays = io.read_npz(DATA, ["num_atoms", "position", "atomic_number"])
    lengths = arrays["num_atoms"].astype(np.int64)
    places, elements = Ragged(arrays["position"], lengths), Ragged(arrays["atomic_number"], lengths)
    few = np.arange(0, len(lengths), 50)
    found = orders(places[few].padded(29), elements[few].padded(29))
    for row, i in enumerate(few.tolist()):
        n = lengths[i]
        np.testing.assert_array_equal(found[row, :n, :n], pair_by_pair(places[i], elements[i]))
