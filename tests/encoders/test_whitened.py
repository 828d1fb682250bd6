"""Whitened tokens: mean 0 and covariance 1 over the training split, the leading components, one map for all rows."""

import numpy as np
import pytest
from varying_tokens import ROWS, TOKENS, WIDTH, material, varying

from reedbench.core.errors import ConfigError
from reedbench.encoders import whitened
from reedbench.encoders.whitened import Whitened


@pytest.fixture
def tokens() -> np.ndarray:
    return varying()


def test_kept_components_are_the_leading_ones_each_of_variance_one(tokens, monkeypatch):
    monkeypatch.setattr(whitened, "AT_ONCE", 7)  # in parts
    encoder, given = Whitened(tokens="e", dim=3), material(tokens)
    made = encoder.pretrain(given, given, "x")
    out = encoder.represent(made.weights, given)
    assert out.shape == (ROWS, TOKENS, 3) == (ROWS, *encoder.shape({}, {"e": (TOKENS, WIDTH)}))
    flat = out.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(flat.T, ddof=0), np.eye(3), atol=1e-4)
    variances = np.linalg.eigvalsh(np.cov(tokens.reshape(-1, WIDTH).T, ddof=0))[::-1]
    assert made.card["explained_variance"] == pytest.approx(variances[:3].sum() / variances.sum(), abs=1e-4)
    assert (np.take_along_axis(made.weights["map"], np.abs(made.weights["map"]).argmax(0)[None], 0) > 0).all()


def test_more_dimensions_than_vary_and_a_vector_are_one_line(tokens):
    given = material(tokens)
    with pytest.raises(ConfigError, match="dim 6 is more than the 5 dimensions in which tokens vary"):
        Whitened(tokens="e", dim=6).pretrain(given, given, "x")
    with pytest.raises(ConfigError, match="'e' gives one vector per datum, and tokens are whitened"):
        Whitened(tokens="e", dim=2).pretrain(material(tokens[:, 0]), given, "x")
    assert Whitened(tokens="e").shape({}, {"e": (WIDTH,)}) is None
