"""Superposition: what rotations leave, what a hinge gives, and biotite as the witness of the score."""

import numpy as np
import pytest

pytest.importorskip("biotite")

from reedbench.core.ragged import Ragged
from reedbench.domains import superposition
from reedbench.domains.superposition import Folds

TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def helix(length: int) -> np.ndarray:
    """CA atoms of an ideal helix: 100 degrees and 1.5 Angstrom a residue."""
    angle = np.deg2rad(100) * np.arange(length)
    return np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(length)], axis=1)


def moved(points: np.ndarray) -> np.ndarray:
    return points @ TURN.T + [30.0, -7.0, 2.0]


def test_a_moved_copy_is_at_distance_nothing_and_scores_one():
    points = helix(40)
    assert superposition.rmsd(points, moved(points)) == pytest.approx(0, abs=1e-5)
    assert superposition.tm_score(points, moved(points)) == pytest.approx(1, abs=1e-6)


def test_far_from_the_origin_no_digits_are_lost():
    points = helix(40)
    assert superposition.rmsd(points, moved(points) + 1e4) == pytest.approx(0, abs=1e-5)


def test_a_mirror_image_is_no_copy():
    points = helix(40)
    assert superposition.rmsd(points, points * [1, 1, -1]) > 1


def test_rmsd_of_a_square_whose_corners_move_outwards():
    square = np.array([[1.0, 1, 0], [1, -1, 0], [-1, -1, 0], [-1, 1, 0]])
    assert superposition.rmsd(square, moved(2 * square)) == pytest.approx(np.sqrt(2), abs=1e-5)


def test_each_half_of_a_hinge_is_half_the_score():
    points = helix(60)
    bent = np.concatenate([points[:30], moved(moved(points[30:]))])
    by_least_squares = superposition._closeness(points, superposition._laid(points, bent))
    assert by_least_squares < 0.1
    assert 0.5 < superposition.tm_score(points, bent) < 0.52


def test_the_score_of_one_atom_far_away_is_the_formula():
    points = helix(40)
    other = points.copy()
    other[0] += [1e4, 0, 0]
    assert superposition.tm_score(points, moved(other)) == pytest.approx(39 / 40, abs=1e-5)


@pytest.mark.parametrize("length", [3, 16, 22, 100])
def test_the_search_maximises_what_biotite_calls_the_score(length):
    from biotite.structure import tm_score

    points = helix(length)
    other = points + np.random.default_rng(length).normal(size=points.shape)
    index = np.arange(length)
    atoms = [superposition._atoms(x) for x in (points, other)]
    expected = tm_score(*atoms, index, index, reference_length=length)
    assert superposition._closeness(points, other) == pytest.approx(expected, rel=1e-5)
    assert superposition.tm_score(points, other) >= expected - 1e-6


def test_fragments_are_the_chain_then_overlapping_parts_and_none_shorter_than_four():
    found = list(superposition._fragments(16))
    assert found[:4] == [(0, 16), (0, 8), (4, 12), (8, 16)]
    assert {stop - start for start, stop in found} == {16, 8, 4}
    assert list(superposition._fragments(3)) == [(0, 3)]
    assert min(stop - start for start, stop in superposition._fragments(256)) == 16


def test_part_of_the_folds_keeps_structures_and_confidence_together():
    rows = [np.full((length, 3, 3), length, np.float32) for length in (2, 5, 3)]
    part = Folds(Ragged.of(rows), np.array([20.0, 50.0, 30.0])).take(slice(1, 3))
    assert len(part) == 2
    assert [(len(row), row[0, 0, 0] * 10) for row in part.coordinates] == [(5, 50), (3, 30)]
    assert part.plddt.tolist() == [50, 30]
