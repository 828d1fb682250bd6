"""Self-consistency metrics, with structures that are the native ones moved, bent or shifted."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

pytest.importorskip("biotite")

from reedbench.core import plugins
from reedbench.core.errors import MetricError
from reedbench.core.ragged import Ragged
from reedbench.core.residues import UNKNOWN
from reedbench.domains.rows import Rows
from reedbench.domains.superposition import Folds

IDS = ("one/0", "two/0", "one/1", "two/1")
LENGTHS = {"one": 40, "two": 30}
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def backbone(length: int) -> np.ndarray:
    """(length, 4, 3): a helix of residues whose four atoms differ."""
    angle = np.deg2rad(100) * np.arange(length)
    ca = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(length)], axis=1)
    offsets = np.array([[-1.0, 0.5, -0.7], [0, 0, 0], [0.9, 0.4, 1.0], [1.9, 0.2, 0.8]])
    return (ca[:, None] + offsets).astype(np.float32)


def stretched(atoms: np.ndarray, rmsd: float) -> np.ndarray:
    """The same about its centre, larger by so much that superposition leaves this RMSD; then moved away."""
    centred = atoms - atoms.mean(axis=(0, 1))
    radius = np.sqrt((centred**2).sum(-1).mean())
    return (centred * (1 + rmsd / radius)) @ TURN.T + [50.0, 0, -9]


@dataclass
class Evidence:
    """Samples, chains, and one folder's structures."""

    samples: Rows
    asked: Rows
    structures: Folds
    asked_for: list[str] = field(default_factory=list)

    def folds(self, folder: str) -> Folds:
        self.asked_for.append(folder)
        return self.structures


def evidence(rmsds: tuple[float, ...], plddt: tuple[float, ...] = (90, 80, 70, 20)) -> Evidence:
    """Four samples whose predictions are this far from their chains."""
    natives = [backbone(LENGTHS[name.partition("/")[0]]) for name in IDS]
    tokens = Ragged.of([np.zeros(len(atoms), np.uint8) for atoms in natives])
    chain = Ragged.of([np.ones(len(atoms), np.uint8) for atoms in natives])
    predicted = [stretched(atoms[:, :3], by) for atoms, by in zip(natives, rmsds, strict=True)]
    asked = Rows(IDS, ["asked"] * 4, {"coordinates": Ragged.of(natives), "tokens": tokens, "chain": chain})
    samples = Rows(IDS, ["sample"] * 4, {"tokens": tokens, "argmax": tokens})
    return Evidence(samples, asked, Folds(Ragged.of(predicted), np.array(plddt, np.float64)))


def measured(name: str, seen: Evidence, **settings: Any) -> float:
    return plugins.discover("metrics")[name](folder="fake", **settings).measured(seen)


def test_a_prediction_that_is_the_backbone_moved_is_perfect():
    seen = evidence((0, 0, 0, 0))
    assert measured("sc-rmsd", seen) == pytest.approx(0, abs=1e-5)
    assert measured("sc-tm", seen) == pytest.approx(1, abs=1e-5)
    assert measured("designable", seen) == 1
    assert seen.asked_for == ["fake"] * 3


def test_statistics_are_over_samples_or_over_the_best_of_each_chain():
    seen = evidence((1, 3, 2.5, 0.5))  # chain one: 1, 2.5; chain two: 3, 0.5
    for settings, expected in (
        ({}, 7 / 4),
        ({"statistic": "median"}, 1.75),
        ({"best": True}, 0.75),
        ({"best": True, "statistic": "median"}, 0.75),
    ):
        assert measured("sc-rmsd", seen, **settings) == pytest.approx(expected, rel=1e-4)
    uneven = evidence((1, 3, 8, 0.5))
    assert measured("sc-rmsd", uneven) == pytest.approx(12.5 / 4, rel=1e-4)
    assert measured("sc-rmsd", uneven, statistic="median") == pytest.approx(2, rel=1e-4)


def test_designable_is_the_share_below_two_angstrom():
    seen = evidence((1.99, 2.01, 5, 1))
    assert measured("designable", seen) == 0.5
    assert measured("designable", seen, best=True) == 1


def test_confidence_of_the_folder():
    seen = evidence((0, 0, 0, 0), plddt=(90, 80, 70, 20))
    assert measured("plddt", seen) == 65
    assert measured("plddt", seen, statistic="median") == 75
    assert measured("plddt", seen, best=True) == 85  # the largest is the best


def test_confident_is_the_share_above_eighty():
    seen = evidence((0, 0, 0, 0), plddt=(90, 80, 70, 20))  # chain one: 90, 70; chain two: 80, 20
    assert measured("confident", seen) == 0.25
    assert measured("confident", seen, best=True) == 0.5


def test_the_tm_score_of_the_best_sample_is_the_larger_one():
    seen = evidence((4, 0, 0, 4))
    assert measured("sc-tm", seen, best=True) == pytest.approx(1, abs=1e-5)
    assert measured("sc-tm", seen) < 0.9


def test_residues_that_do_not_count_may_be_anywhere():
    seen = evidence((0, 0, 0, 0))
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
    seen = evidence((0, 0, 0, 0))
    seen.asked.arrays["coordinates"].values[:, 3] += 50
    assert measured("sc-rmsd", seen) == pytest.approx(0, abs=1e-5)


def test_a_structure_of_another_length_is_refused_by_name():
    seen = evidence((0, 0, 0, 0))
    rows = list(seen.structures.coordinates)
    rows[2] = rows[2][:-1]
    seen.structures = Folds(Ragged.of(rows), seen.structures.plddt)
    with pytest.raises(MetricError, match=r"^one/1: the predicted structure has 39 residues, and the native chain 40"):
        measured("sc-rmsd", seen)


def test_too_few_residues_for_a_superposition_are_refused_by_name():
    seen = evidence((0, 0, 0, 0))
    seen.asked.arrays["coordinates"][1][2:] = np.nan
    with pytest.raises(MetricError, match=r"^two/0: .* needs 3 residues, and 2 count .*least_resolved"):
        measured("sc-tm", seen)


def test_complexes_are_refused_before_anything_is_folded():
    seen = evidence((0, 0, 0, 0))
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
    assert metric.id(40, 8) == f"{family}.v1-n40" + ("-k8" if "best" in settings else "")
    assert metric.least_n() == 1
