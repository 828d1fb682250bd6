"""Self-consistency metrics, with structures that are the native ones moved, bent or shifted."""

from typing import Any

import numpy as np
import pytest
from made_designs import FoldedEvidence, folded

pytest.importorskip("biotite")

from reedbench.core import plugins
from reedbench.core.errors import MetricError
from reedbench.core.ragged import Ragged
from reedbench.domains.superposition import Folds
from reedbench.nn.residues import UNKNOWN


def measured(name: str, seen: FoldedEvidence, **settings: Any) -> float:
    return plugins.discover("metrics")[name](folder="fake", **settings).measured(seen)


def test_a_prediction_that_is_the_backbone_moved_is_perfect():
    seen = folded((0, 0, 0, 0))
    assert measured("sc-rmsd", seen) == pytest.approx(0, abs=1e-5)
    assert measured("sc-tm", seen) == pytest.approx(1, abs=1e-5)
    assert measured("designable", seen) == 1
    assert seen.asked_for == ["fake"] * 3


def test_statistics_are_over_samples_or_over_the_best_of_each_chain():
    seen = folded((1, 3, 2.5, 0.5))  # chain one: 1, 2.5; chain two: 3, 0.5
    for settings, expected in (
        ({}, 7 / 4),
        ({"statistic": "median"}, 1.75),
        ({"best": True}, 0.75),
        ({"best": True, "statistic": "median"}, 0.75),
    ):
        assert measured("sc-rmsd", seen, **settings) == pytest.approx(expected, rel=1e-4)
    uneven = folded((1, 3, 8, 0.5))
    assert measured("sc-rmsd", uneven) == pytest.approx(12.5 / 4, rel=1e-4)
    assert measured("sc-rmsd", uneven, statistic="median") == pytest.approx(2, rel=1e-4)


def test_designable_is_the_share_below_two_angstrom():
    seen = folded((1.99, 2.01, 5, 1))
    assert measured("designable", seen) == 0.5
    assert measured("designable", seen, best=True) == 1


def test_confidence_of_the_folder():
    seen = folded((0, 0, 0, 0), plddt=(90, 80, 70, 20))
    assert measured("plddt", seen) == 65
    assert measured("plddt", seen, statistic="median") == 75
    assert measured("plddt", seen, best=True) == 85  # the largest is the best


def test_confident_is_the_share_above_eighty():
    seen = folded((0, 0, 0, 0), plddt=(90, 80, 70, 20))  # chain one: 90, 70; chain two: 80, 20
    assert measured("confident", seen) == 0.25
    assert measured("confident", seen, best=True) == 0.5


def test_the_tm_score_of_the_best_sample_is_the_larger_one():
    seen = folded((4, 0, 0, 4))
    assert measured("sc-tm", seen, best=True) == pytest.approx(1, abs=1e-5)
    assert measured("sc-tm", seen) < 0.9


def test_residues_that_do_not_count_may_be_anywhere():
    seen = folded((0, 0, 0, 0))
    for array in (seen.asked.arrays["coordinates"], seen.structures.coordinates):
        assert array.values.flags.writeable
    seen.structures.coordinates[0][:5] += 100
    assert measured("sc-rmsd", seen) > 5
    seen.asked.arrays["coordinates"][0][:4, 3] = np.nan
    seen.asked.arrays["tokens"] = Ragged(seen.asked.arrays["tokens"].values.copy(), seen.asked.arrays["tokens"].lengths)
    seen.asked.arrays["tokens"][0][4] = UNKNOWN
    assert measured("sc-rmsd", seen) == pytest.approx(0, abs=1e-5)
    assert measured("sc-tm", seen) == pytest.approx(1, abs=1e-5)


def test_only_n_ca_and_c_are_laid_on_top():
    seen = folded((0, 0, 0, 0))
    seen.asked.arrays["coordinates"].values[:, 3] += 50
    assert measured("sc-rmsd", seen) == pytest.approx(0, abs=1e-5)


def test_a_structure_of_another_length_is_refused_by_name():
    seen = folded((0, 0, 0, 0))
    rows = list(seen.structures.coordinates)
    rows[2] = rows[2][:-1]
    seen.structures = Folds(Ragged.of(rows), seen.structures.plddt)
    with pytest.raises(MetricError, match=r"^one/1: the predicted structure has 39 residues, and the native chain 40"):
        measured("sc-rmsd", seen)


def test_too_few_residues_for_a_superposition_are_refused_by_name():
    seen = folded((0, 0, 0, 0))
    seen.asked.arrays["coordinates"][1][2:] = np.nan
    with pytest.raises(MetricError, match=r"^two/0: .* needs 3 residues, and 2 count .*least_resolved"):
        measured("sc-tm", seen)


def test_complexes_are_refused_before_anything_is_folded():
    seen = folded((0, 0, 0, 0))
    seen.asked.arrays["chain"][3][-1] = 2
    with pytest.raises(MetricError, match=r"^two/1: has several chains"):
        measured("designable", seen)
    assert seen.asked_for == []


@pytest.mark.parametrize(
    ("name", "settings", "family"),
    [
        ("sc-rmsd", {}, "sc-rmsd@fake"),
        ("sc-tm", {"statistic": "median"}, "sc-tm@fake-median"),
        ("sc-rmsd", {"best": True, "statistic": "median"}, "sc-rmsd@fake-best-median"),
        ("designable", {"best": True}, "designable@fake-best"),
        ("plddt", {}, "plddt@fake"),
    ],
)
def test_the_family_names_folder_and_statistic(name, settings, family):
    metric = plugins.discover("metrics")[name](folder="fake", **settings)
    assert metric.family == family
    assert metric.folders() == ("fake",)
    assert metric.id(40, 8) == f"{family}.v1-n40-k8"
    assert metric.least_n() == 1
