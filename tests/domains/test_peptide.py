"""Oxygens are placed where ideal geometry and real chains have them, and breaks are counted."""

import gzip
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.domains import peptide

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data"))
CHAINS = DATA / "protein_chains.jsonl.gz"


def extended(a, b, c, bond, angle, torsion):
    """The atom at a bond from c, an angle at c and a torsion about b-c (degrees)."""
    angle, torsion = np.deg2rad([angle, torsion])
    axis = (c - b) / np.linalg.norm(c - b)
    across = (a - b) - ((a - b) @ axis) * axis
    across /= np.linalg.norm(across)
    around = np.cos(torsion) * across + np.sin(torsion) * np.cross(axis, across)
    return c + bond * (np.sin(angle) * around - np.cos(angle) * axis)


def ideal(length: int) -> np.ndarray:
    """(length, 4, 3): a chain of ideal geometry with random phi and psi; the last O is at psi 42 degrees."""
    rng = np.random.default_rng(0)
    n, alpha, carbon = np.array([[0, 0, 0], [1.458, 0, 0], [2.0, 1.42, 0]])
    rows = []
    for last in [False] * (length - 1) + [True]:
        psi = 42.0 if last else rng.uniform(-180, 180)
        rows.append([n, alpha, carbon, extended(n, alpha, carbon, 1.23, 120.8, psi + 180)])
        following = extended(n, alpha, carbon, 1.329, 116.2, psi)
        alpha_2 = extended(alpha, carbon, following, 1.458, 121.7, 180)
        n, alpha, carbon = (
            following,
            alpha_2,
            extended(carbon, following, alpha_2, 1.525, 111.2, rng.uniform(-180, 180)),
        )
    return np.array(rows)


@pytest.fixture
def chain() -> np.ndarray:
    return ideal(12)


def without_oxygen(chain: np.ndarray) -> np.ndarray:
    bare = chain.copy()
    bare[:, peptide.OXYGEN] = np.nan
    return bare


def torsion(a, b, c, d) -> float:
    axis = (c - b) / np.linalg.norm(c - b)
    one, other = (v - (v @ axis) * axis for v in (a - b, d - c))
    return float(np.degrees(np.arctan2(np.cross(axis, one) @ other, one @ other)))


def test_in_an_ideal_chain_the_oxygen_comes_back(chain):
    made, placed = peptide.place_oxygens(without_oxygen(chain))
    assert placed.all()
    np.testing.assert_allclose(made[:-1], chain[:-1], atol=1e-9)


def test_at_an_end_and_before_a_break_the_oxygen_has_bond_angle_and_torsion_of_a_helix(chain):
    chain[6:] += 30
    made, _ = peptide.place_oxygens(without_oxygen(chain))
    for n, alpha, carbon, oxygen in made[[5, 11]]:
        to_oxygen, to_alpha = oxygen - carbon, alpha - carbon
        cosine = to_oxygen @ to_alpha / np.linalg.norm(to_oxygen) / np.linalg.norm(to_alpha)
        assert np.linalg.norm(to_oxygen) == pytest.approx(1.23)
        assert np.degrees(np.arccos(cosine)) == pytest.approx(120.8)
        assert torsion(n, alpha, carbon, oxygen) == pytest.approx(135)


def test_placing_follows_rotation_and_translation(chain):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    moved = chain @ rotation.T + [10, -20, 5]
    made, _ = peptide.place_oxygens(without_oxygen(chain))
    np.testing.assert_allclose(
        peptide.place_oxygens(without_oxygen(moved))[0], made @ rotation.T + [10, -20, 5], atol=1e-9
    )


def test_only_a_missing_oxygen_of_a_whole_residue_is_placed(chain):
    chain = chain.astype(np.float32)
    chain[[2, 5], peptide.OXYGEN] = np.nan
    chain[5, peptide.ALPHA] = np.nan
    before = chain.copy()
    made, placed = peptide.place_oxygens(chain)
    assert np.flatnonzero(placed).tolist() == [2]
    assert made.dtype == np.float32
    np.testing.assert_array_equal(chain, before)
    np.testing.assert_array_equal(np.delete(made, 2, axis=0), np.delete(before, 2, axis=0))


def test_where_the_next_residue_is_missing_the_oxygen_is_placed_as_at_an_end(chain):
    alone, _ = peptide.place_oxygens(without_oxygen(chain[:4]))
    chain[4] = np.nan
    made, placed = peptide.place_oxygens(without_oxygen(chain))
    assert placed.tolist() == [True] * 4 + [False] + [True] * 7
    np.testing.assert_array_equal(made[3], alone[3])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("place", [[0, 0, 0], [[0, 0, 0], [1.5, 0, 0], [3, 0, 0]]])
def test_atoms_on_a_line_or_in_one_place_span_no_plane(place):
    flat = np.full((1, 4, 3), np.nan)
    flat[0, :3] = place
    made, placed = peptide.place_oxygens(flat)
    assert not placed.any()
    assert np.isnan(made[0, peptide.OXYGEN]).all()


def test_a_chain_of_nothing_is_no_case_of_its_own():
    made, placed = peptide.place_oxygens(np.empty((0, 4, 3)))
    assert (made.shape, placed.shape, peptide.breaks(made)) == ((0, 4, 3), (0,), 0)


def test_breaks_are_counted_where_both_sides_are_there(chain):
    assert peptide.breaks(chain) == 0
    chain[3:] += 4
    chain[8:] += 4
    assert peptide.breaks(chain) == 2
    assert np.flatnonzero(~peptide.bonded(chain)).tolist() == [2, 7]
    chain[3] = np.nan  # a gap that the rows tell of
    assert peptide.breaks(chain) == 1


def test_a_residue_has_a_backbone_without_its_oxygen(chain):
    chain[1, peptide.OXYGEN] = chain[2, peptide.CARBON] = np.nan
    assert np.flatnonzero(~peptide.has_backbone(chain)).tolist() == [2]


@pytest.mark.skipif(not CHAINS.exists(), reason=f"{CHAINS} is not there (REEDBENCH_DATA)")
def test_in_real_chains_placed_oxygens_lie_within_hundredths_of_an_angstrom():
    errors = []
    with gzip.open(CHAINS, "rt") as file:
        for line in itertools.islice(file, 0, 760, 20):
            coords = json.loads(line)["coords"]
            chain = np.stack([np.array([x or [np.nan] * 3 for x in coords[atom]]) for atom in ("N", "CA", "C", "O")], 1)
            made, placed = peptide.place_oxygens(without_oxygen(chain))
            inside = placed & np.append(peptide.bonded(chain), False)
            error = np.linalg.norm(made[inside] - chain[inside], axis=-1)[:, peptide.OXYGEN]
            errors.append(error[np.isfinite(error)])
    errors = np.concatenate(errors)
    assert len(errors) > 5000
    assert np.median(errors) < 0.03
    assert np.quantile(errors, 0.95) < 0.12
