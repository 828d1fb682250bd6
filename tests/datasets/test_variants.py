"""Long tails and hidden labels: which rows stay, and that nothing else moves."""

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.datasets._variants import profile
from reedbench.datasets.cifar10 import Cifar10
from reedbench.datasets.digits import CLASSES, Digits
from reedbench.domains import image, rows
from reedbench.domains.rows import REFERENCE, SPARE, TEST, TRAIN

WHOLE = Digits().rows()
TAIL = Digits(name="digits-lt", imbalance=20).rows()
BLIND = Digits(name="digits-blind", labelled=False).rows()


def of(made: rows.Rows, split: str) -> list[str]:
    return [name for name, own in zip(made.ids, made.split, strict=True) if own == split]


def test_the_profile_is_that_of_cifar_lt():
    assert profile(5000, 10, 100) == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    assert profile(7, 1, 3) == [7]
    assert profile(20, 3, 20)[-1] == 1  # whole numbers lose nothing by rounding


def test_a_long_tail_leaves_out_training_rows_alone():
    train = np.asarray(TAIL.split) == TRAIN
    counts = np.bincount(TAIL.arrays["labels"][train])
    smallest = np.bincount(WHOLE.arrays["labels"][np.asarray(WHOLE.split) == TRAIN]).min()
    assert counts.tolist() == profile(smallest, CLASSES, 20)
    assert of(TAIL, TEST) == of(WHOLE, TEST)
    assert sorted(of(TAIL, TRAIN) + of(TAIL, SPARE)) == of(WHOLE, TRAIN)


def test_the_rows_of_a_class_come_in_a_fixed_order():
    """A longer tail is part of a shorter one."""
    longer, again = (Digits(name=name, imbalance=40).rows() for name in ("one", "other"))
    assert of(longer, TRAIN) == of(again, TRAIN)
    assert set(of(longer, TRAIN)) < set(of(TAIL, TRAIN))


def test_hidden_labels_are_kept_for_judges():
    assert BLIND.split == WHOLE.split
    assert not BLIND.arrays["labels"].any()
    assert np.array_equal(image.classes_of(BLIND), WHOLE.arrays["labels"])
    facts = Digits(name="digits-blind", labelled=False).facts()
    assert (facts["classes"], facts["hidden_classes"]) == (0, CLASSES)


def test_the_reference_of_a_long_tail_is_the_whole_training_split(tmp_path):
    for name, made in (("whole", WHOLE), ("tail", TAIL)):
        rows.write(tmp_path / name, made, {"classes": CLASSES})
    whole, tail = (rows.read(tmp_path / name, REFERENCE) for name in ("whole", "tail"))
    assert whole.ids == tail.ids == rows.read(tmp_path / "whole", TRAIN).ids
    assert np.array_equal(whole.arrays["images"], tail.arrays["images"])
    assert len(rows.read(tmp_path / "tail", TRAIN)) < len(tail)


def test_what_the_settings_tell_is_what_the_data_are():
    for settings in ({"imbalance": 20}, {"labelled": False}, {"imbalance": 2.5, "labelled": False}):
        made = Digits(name="other", **settings)
        found, told = made.rows(), made.declared()
        assert {name: list(array.shape[1:]) for name, array in found.arrays.items()} == told["shapes"]
        assert told["classes"] == made.facts()["classes"]
        assert told.get("splits", {}) in ({}, {split: len(of(found, split)) for split in (TRAIN, TEST)})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"imbalance": 20}, "give them a name, such as name: digits-lt"),
        ({"labelled": False}, "labelled: false makes other data of digits"),
        ({"name": "x", "imbalance": 0.5}, "greater than or equal to 1"),
        ({"name": "x", "imbalance": 144}, "leaves the last class no row, as a class has at most 143"),
    ],
)
def test_what_makes_no_variant_is_refused(settings, words):
    with pytest.raises(ValidationError, match=words):
        Digits(**settings)


def test_a_class_that_would_have_no_row_is_refused_when_the_rows_are_known():
    with pytest.raises(ConfigError, match="dataset x: imbalance 142 leaves the last class no row, as the smallest"):
        Digits(name="x", imbalance=142).rows()


def test_cifar_has_the_same_variants():
    assert Cifar10(name="cifar10-lt", imbalance=100).declared()["classes"] == CLASSES
    assert Cifar10(name="cifar10-blind", labelled=False).declared()["classes"] == 0
    with pytest.raises(ValidationError, match="at most 2"):
        Cifar10(name="x", imbalance=3, train_rows=20)
