"""Histograms of distances: what they count, and that they follow nothing but elements and distances."""

import numpy as np
import pytest
from molecule_rows import changed, permuted, rows_of, splits, turned
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.domains.molecule import Molecule
from reedbench.encoders import Material, molecule_shape
from reedbench.encoders.molecule_shape import KINDS, MoleculeShape

BINS = 5
HYDROGEN, CARBON, NITROGEN, OXYGEN = range(4)


def vectors(rows, **settings) -> np.ndarray:
    return MoleculeShape(**settings).represent({}, Material(rows))


def of(elements: list[int], places: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Bins (pairs of groups, bins) and shares (groups,) of one molecule, of bins at 1, 2, 4, 8 and 16 Angstrom."""
    found = vectors(rows_of([Molecule.of(places, elements)]), bins=BINS, nearest=1.0, farthest=16.0)[0]
    return found[:-KINDS].reshape(-1, BINS), found[-KINDS:]


def at(a: int, b: int) -> int:
    """The number of a pair of groups."""
    return [(i, j) for i in range(KINDS) for j in range(i, KINDS)].index((min(a, b), max(a, b)))


def test_a_distance_counts_for_the_two_bins_beside_it_per_atom():
    bins, shares = of([6, 1], [[0, 0, 0], [0, 0, 2 * 2**0.25]])
    np.testing.assert_allclose(bins[at(HYDROGEN, CARBON)], np.array([0, 0.75, 0.25, 0, 0]) / 2, atol=1e-6)
    assert bins.sum() == pytest.approx(0.5)
    assert shares.tolist() == [0.5, 0.5, 0, 0, 0, 0]


@pytest.mark.parametrize(("distance", "bin"), [(0.0, 0), (0.3, 0), (1.0, 0), (16.0, 4), (99.0, 4)])
def test_what_is_beyond_the_first_or_last_bin_counts_for_it(distance, bin):
    bins, _ = of([7, 8], [[0, 0, 0], [distance, 0, 0]])
    assert bins[at(NITROGEN, OXYGEN), bin] == pytest.approx(0.5)


def test_elements_stand_in_groups():
    _, shares = of([1, 6, 7, 8, 9, 17, 35, 53, 16, 0 + 14], np.eye(10)[:, :3].tolist())
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.1, 0.1, 0.4, 0.2], atol=1e-6)


def test_every_pair_counts_once():
    rows = splits()[0]
    lengths = rows.arrays["elements"].lengths
    found = vectors(rows)
    assert found.dtype == np.float32
    assert found.shape == (64, *MoleculeShape().shape({}, {}))
    np.testing.assert_allclose(found[:, :-KINDS].sum(1), (lengths - 1) / 2, rtol=1e-5)
    np.testing.assert_allclose(found[:, -KINDS:].sum(1), 1, rtol=1e-6)


def test_a_vector_does_not_depend_on_pose_numbering_or_the_other_rows(monkeypatch):
    rows = splits()[0]
    found = vectors(rows)
    for other in (turned(rows), turned(rows, mirrored=True), permuted(rows)):
        np.testing.assert_allclose(vectors(other), found, rtol=0, atol=2e-6)
    order = np.random.default_rng(0).permutation(64)
    np.testing.assert_allclose(vectors(rows.take(order)), found[order], rtol=0, atol=1e-6)
    monkeypatch.setattr(molecule_shape, "AT_ONCE", 1)
    np.testing.assert_allclose(vectors(rows), found, rtol=0, atol=1e-6)


def test_a_vector_is_continuous_and_tells_noise():
    rows = splits()[0]
    places, found = rows.arrays["coordinates"].values, vectors(rows)
    moved = np.random.default_rng(0).normal(size=places.shape).astype(np.float32)
    apart = [np.abs(vectors(changed(rows, coordinates=places + size * moved)) - found).max() for size in (1e-4, 0.3)]
    assert apart[0] < 1e-3 < 0.05 < apart[1]


def test_samples_may_be_single_or_undecided_atoms():
    found = vectors(changed(rows_of([Molecule.of(np.zeros((1, 3)), [6])]), elements=np.zeros(1, np.uint8)))
    assert found[0, -1] == found.sum() == 1


def test_a_place_that_is_no_number_is_refused():
    rows = rows_of([Molecule.of(np.zeros((1, 3)), [6])])
    with pytest.raises(ConfigError, match="encoder molecule-shape: row 'm0'"):
        vectors(changed(rows, coordinates=np.full((1, 3), np.nan, np.float32)))


def test_bins_that_are_in_no_order_are_refused():
    with pytest.raises(ValidationError, match=r"nearest 3\.0 is not below farthest 2\.0"):
        MoleculeShape(nearest=3.0, farthest=2.0)
