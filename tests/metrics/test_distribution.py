"""Distances between distributions: by hand, and against scipy."""

import numpy as np
import pytest
from made_molecules import embedded, evidence, rows, training, undecided

from reedbench.core.errors import MetricError
from reedbench.domains import molecule_geometry
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import Rows
from reedbench.metrics import _distances
from reedbench.metrics.distribution import GEOMETRY, Distribution
from reedbench.steps.evidence import CellEvidence

EVERY = ("bond-lengths", "angles", "torsions", "elements", "sizes", "orders")


def test_the_distance_of_values_is_scipys():
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(0)
    for n, m in ((1, 1), (7, 100), (500, 300)):
        one, other = rng.normal(size=n), np.round(rng.gamma(2, size=m), 1)
        assert _distances.wasserstein(one, other) == pytest.approx(wasserstein_distance(one, other), rel=1e-12)


def test_kinds_weigh_as_much_as_the_reference_has_of_them():
    reference = {1: np.array([1.0, 1.0, 1.0]), 2: np.array([5.0])}
    assert _distances.mean_wasserstein({1: np.array([2.0]), 2: np.array([5.0, 9.0])}, reference) == (3 * 1 + 1 * 2) / 4
    assert _distances.mean_wasserstein({1: np.array([1.0]), 3: np.array([77.0])}, reference) == (3 * 0 + 1 * 5) / 4


def test_total_variation_is_half_the_differences_of_shares():
    assert _distances.total_variation(np.array([6, 6, 1, 1]), np.array([6, 8])) == pytest.approx((0 + 0.5 + 0.5) / 2)
    assert _distances.total_variation(np.array([3]), np.array([4, 5])) == 1
    assert _distances.total_variation(np.array([], int), np.array([4, 5])) == 1


@pytest.mark.parametrize("of", EVERY)
def test_the_training_molecules_themselves_are_at_no_distance(of):
    texts = ("CCO", "CC(=O)O", "c1ccccc1")
    assert Distribution(of=of).measured(evidence(*texts, known=texts)) == 0
    assert Distribution(of=of).measured(evidence("CCCN", known=texts)) > 0


@pytest.mark.parametrize(("of", "expected"), [("bond-lengths", True), ("angles", False), ("torsions", False)])
def test_stretched_molecules_have_other_lengths_and_the_same_angles(of, expected):
    ethanol = embedded("CCO")
    stretched = Molecule(1.1 * ethanol.coordinates, ethanol.elements, ethanol.charges, ethanol.bonds)
    found = Distribution(of=of).measured(evidence(stretched, known=("CCO",)))
    lengths, _ = molecule_geometry.lengths(rows([ethanol]).arrays)
    assert found == pytest.approx(0.1 * lengths.mean() if expected else 0, abs=1e-4)


@pytest.mark.parametrize(
    ("of", "expected"),
    [("elements", 1 / 9), ("sizes", 1.0), ("orders", 0.0)],  # C2 O H6 against C2 H6
)
def test_ethane_for_ethanol(of, expected):
    found = Distribution(of=of).measured(evidence("CC", known=("CCO",)))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("of", GEOMETRY)
def test_what_samples_lack_counts_as_nothing(of):
    values, _ = GEOMETRY[of](training(("CCO",)).arrays)
    assert Distribution(of=of).measured(evidence(undecided(), known=("CCO",))) == pytest.approx(values.mean(), rel=1e-6)


def test_training_molecules_without_anything_of_the_kind_are_an_error():
    with pytest.raises(MetricError, match=r"^distribution@torsions: the training molecules have no torsion angles"):
        Distribution(of="torsions").measured(evidence("CCO", known=("O", "C")))


def test_the_reference_is_a_fixed_part_of_the_training_split_and_in_the_id():
    drawn = []

    class Kept(Rows):
        def chosen(self, some):
            drawn.append(some.tolist())
            return super().chosen(some)

    plain = training(("C", "CC", "CCC", "CCCC", "CCCCC"))
    seen = evidence("CC")
    seen = CellEvidence(seen.samples, seen.asked, training=lambda: Kept(plain.ids, plain.split, plain.arrays))
    metric = Distribution(of="sizes", reference=2)
    again = metric.measured(seen)
    assert metric.measured(seen.part(slice(0, 1))) == again
    assert len(drawn) == 1  # read once
    assert len(drawn[0]) == 2
    assert drawn[0] == sorted(drawn[0])
    assert metric.id(5) == "distribution@sizes+reference=2.v1-n5"
