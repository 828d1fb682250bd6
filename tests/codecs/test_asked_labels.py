"""Classes that samples are asked for: in equal shares, or drawn, each from its own stream."""

import numpy as np
import pytest

from reedbench.codecs.pixels import Pixels
from reedbench.codecs.residues import Residues
from reedbench.core import seeds
from reedbench.domains.rows import Rows

CODEC, FACTS = Pixels(), {"classes": 10, "shapes": {"images": [1, 8, 8]}}


def drawn(index, seed: int = 0) -> np.ndarray:
    asked = Rows([str(i) for i in index], ["asked"] * len(index), {"labels": np.zeros(len(index), np.int64)})
    found = CODEC.relabelled(asked, FACTS, lambda name: seeds.rows(index, "sample", "digits", seed, name))
    assert found.ids == asked.ids
    labels: np.ndarray = found.arrays["labels"]
    return labels


def test_balanced_classes_come_in_turn():
    assert CODEC.asked("", FACTS, 23, 1).arrays["labels"].tolist() == [i % 10 for i in range(23)]


def test_drawn_classes_are_uniform_and_integers():
    labels = drawn(range(20_000))
    assert labels.dtype == np.int64
    counts = np.bincount(labels, minlength=10)
    assert len(counts) == 10
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi squared of nine degrees, p = 0.001
    assert counts.std() > 0


def test_a_sample_is_asked_for_its_class_whatever_else_is():
    np.testing.assert_array_equal(drawn([7, 3]), drawn(range(10))[[7, 3]])


def test_seeds_draw_other_classes():
    assert drawn(range(50), seed=0).tolist() != drawn(range(50), seed=1).tolist()


def test_a_codec_without_classes_draws_none():
    assert not Residues.labelled
    with pytest.raises(TypeError, match="Residues asks for no classes"):
        Residues().relabelled(Rows([], [], {}), {}, lambda name: seeds.rows([], name))
