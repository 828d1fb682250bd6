"""Stability of real molecules by EDM's distances: the counts of its own code on the same 13,083 molecules of QM9.

Reference: E(n) diffusion fce07d7 qm9/analyze.py::check_stability (specs/molecule.md, 9.1).
"""

import os
from pathlib import Path

import numpy as np
import pytest

from reedbench.core import io
from reedbench.core.ragged import Ragged
from reedbench.domains import bond_distances
from reedbench.domains.molecule import order_matrices

DATA = Path(os.environ.get("REEDBENCH_DATA", Path(__file__).parents[2] / "../shared/data")) / "qm9_test.npz"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there (REEDBENCH_DATA)")
ALLOWED = {1: 1, 6: 4, 7: 3, 8: 2, 9: 1}  # sums of orders of bonds of H, C, N, O, F


@pytest.fixture(scope="module")
def real() -> tuple[np.ndarray, np.ndarray]:
    """Places (13083, 29, 3) and elements (13083, 29)."""
    arrays = io.read_npz(DATA, ["num_atoms", "position", "atomic_number"])
    lengths = arrays["num_atoms"].astype(np.int64)
    return tuple(Ragged(arrays[name], lengths).padded(29) for name in ("position", "atomic_number"))


def orders(places, elements):
    """(b, N, N): of a padded batch."""
    lengths = np.full(len(elements), elements.shape[1])
    found = bond_distances.perceived_rows(Ragged(places.reshape(-1, 3), lengths), Ragged(elements.ravel(), lengths))
    return order_matrices(found, elements.shape[1])


def stable(bonded, elements) -> np.ndarray:
    """(b, N) bool: atoms whose bonds sum up to what their element allows."""
    allowed = np.zeros(256, int)
    allowed[list(ALLOWED)] = list(ALLOWED.values())
    return (bonded.sum(-1) == allowed[elements]) & (elements > 0)


def test_stable_atoms_and_molecules_are_those_of_the_reference(real):
    coordinates, elements = real
    is_stable = stable(orders(coordinates, elements), elements)
    whole, atoms, of = is_stable.sum(1) == (elements > 0).sum(1), is_stable.sum(1), (elements > 0).sum(1)
    assert np.flatnonzero(~whole[:20]).tolist() == [14]
    assert (int(atoms[14]), int(of[14])) == (7, 9)
    counts = [(int(whole[:n].sum()), int(atoms[:n].sum()), int(of[:n].sum())) for n in (100, 1000, 13083)]
    assert counts == [(96, 1232, 1244), (963, 15750, 15842), (12457, 234336, 235883)]


def test_single_and_double_precision_agree(real):
    coordinates, elements = (of[:3000] for of in real)
    double = orders(coordinates.astype(np.float64), elements)
    np.testing.assert_array_equal(orders(coordinates, elements), double)
