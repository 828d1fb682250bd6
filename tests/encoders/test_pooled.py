"""Mean tokens, standardised over the training split."""

import numpy as np
import pytest

from reedbench.domains.rows import Rows
from reedbench.encoders import Material, pooled
from reedbench.encoders.pooled import Pooled

ROWS, TOKENS, WIDTH = 30, 4, 5


def material(tokens: np.ndarray) -> Material:
    rows = Rows([f"{i:02d}" for i in range(len(tokens))], ["train"] * len(tokens), {"labels": np.zeros(len(tokens))})
    return Material(rows, None, {"e": tokens})


@pytest.fixture
def tokens() -> np.ndarray:
    """Of different scales, off the origin; the last dimension is constant."""
    drawn = 3 + np.random.default_rng(0).standard_normal((ROWS, TOKENS, WIDTH)) * [1, 10, 0.1, 2, 0]
    return drawn.astype(np.float32)


def test_every_dimension_has_mean_0_and_variance_1_over_the_training_split(tokens, monkeypatch):
    monkeypatch.setattr(pooled, "AT_ONCE", 7)  # in parts
    encoder, given = Pooled(tokens="e"), material(tokens)
    made = encoder.pretrain(given, given, "x")
    out = encoder.represent(made.weights, given)
    assert out.shape == (ROWS, WIDTH) == (ROWS, *encoder.shape({}, {"e": (TOKENS, WIDTH)}))
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(0), [1, 1, 1, 1, 0], atol=1e-4)
    plain = tokens.mean(1)
    np.testing.assert_allclose(out[:, 0], (plain[:, 0] - plain[:, 0].mean()) / plain[:, 0].std(), atol=1e-4)
    stds = plain.std(0)
    assert made.card["std_before"] == pytest.approx([stds.min(), stds.mean(), stds.max()], abs=2e-4)


def test_other_rows_are_moved_by_the_moments_of_the_training_split(tokens):
    encoder, given = Pooled(tokens="e"), material(tokens)
    weights = encoder.pretrain(given, given, "x").weights
    moved = encoder.represent(weights, material(tokens[:3] + 1))
    shift = np.where(weights["std"] == 1.0, 1.0, 1 / weights["std"])
    np.testing.assert_allclose(moved - encoder.represent(weights, material(tokens[:3])), [shift] * 3, atol=1e-3)


def test_vectors_are_their_own_mean(tokens):
    encoder = Pooled(tokens="e")
    whole, vectors = material(tokens), material(tokens.mean(1))
    one, other = (encoder.pretrain(given, given, "x").weights for given in (whole, vectors))
    np.testing.assert_allclose(one["mean"], other["mean"], rtol=1e-6)
    np.testing.assert_allclose(one["std"], other["std"], rtol=1e-6)
