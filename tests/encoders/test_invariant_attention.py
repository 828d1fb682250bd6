"""Attention of a small transformer: what the card says of it is found part by part."""

import numpy as np
import pytest

from reedbench.domains.rows import Rows
from reedbench.encoders import Material, invariant_attention
from reedbench.encoders.invariant_attention import InvariantAttention

ROWS = 10


@pytest.fixture
def material() -> Material:
    images = np.random.default_rng(0).integers(0, 256, (ROWS, 1, 8, 8), dtype=np.uint8)
    names = [f"{i:02d}" for i in range(ROWS)]
    return Material(Rows(names, ["train"] * ROWS, {"images": images, "labels": np.arange(ROWS) % 2}))


def test_attention_of_few_images_is_in_memory_at_once(material, monkeypatch):
    encoder = InvariantAttention(dim=8, depth=2, heads=2, steps=0)
    whole = encoder.pretrain(material, material, "x").card
    sizes, represent = [], InvariantAttention.represent

    def watched(self, weights, some):
        sizes.append(len(some.rows))
        return represent(self, weights, some)

    monkeypatch.setattr(InvariantAttention, "represent", watched)
    monkeypatch.setattr(invariant_attention, "AT_ONCE", 4)
    found = encoder.pretrain(material, material, "x").card
    assert sizes == [4, 4, 2]
    assert len(found["focus"]) == 2
    assert all(0 < layer < 1 for layer in found["focus"])
    assert found["focus"] == pytest.approx(whole["focus"], abs=2e-4)
    assert found["probe_accuracy"] == whole["probe_accuracy"]
