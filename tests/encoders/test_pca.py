"""Maps of principal components: mean 0 and variance 1 over the training split, a sign that data fix, no noise."""

import numpy as np
import pytest
from varying_tokens import ROWS, TOKENS, VARY, WIDTH, material, varying

from reedbench.core.errors import ConfigError
from reedbench.encoders import pca
from reedbench.encoders.pca import Pca
from reedbench.encoders.whitened import Whitened


@pytest.fixture
def tokens() -> np.ndarray:
    return varying()


def test_components_are_the_leading_ones_and_each_has_variance_one(tokens, monkeypatch):
    monkeypatch.setattr(pca, "AT_ONCE", 7)  # in parts
    encoder, given = Pca(tokens="e", components=3), material(tokens)
    made = encoder.pretrain(given, given, "x")
    out = encoder.represent(made.weights, given)
    assert out.shape == (ROWS, TOKENS, 3) == (ROWS, *encoder.shape({}, {"e": (TOKENS, WIDTH)}))
    flat = out.reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(flat.T, ddof=0), np.eye(3), atol=1e-4)
    raw = tokens.reshape(-1, WIDTH).astype(np.float64)
    variances, vectors = np.linalg.eigh(np.cov(raw.T, ddof=0))
    directions = made.weights["components"] / np.linalg.norm(made.weights["components"], axis=0)
    np.testing.assert_allclose(np.abs((directions * vectors[:, ::-1][:, :3]).sum(0)), 1, atol=1e-4)
    assert made.card["explained_variance"] == pytest.approx(variances[::-1][:3].sum() / variances.sum(), abs=1e-4)


def test_the_largest_entry_of_a_component_is_positive_whatever_the_sign_of_the_data(tokens):
    for sign in (1, -1):
        given = material(sign * tokens)
        found = Pca(tokens="e", components=VARY).pretrain(given, given, "x").weights["components"]
        assert (np.take_along_axis(found, np.abs(found).argmax(0)[None], 0) > 0).all()


def test_the_map_is_that_of_whitened(tokens):
    given = material(tokens)
    own, its = Pca(tokens="e", components=4), Whitened(tokens="e", dim=4)
    own, its = (one.pretrain(given, given, "x").weights for one in (own, its))
    np.testing.assert_array_equal(own["components"], its["map"])
    np.testing.assert_array_equal(own["mean"], its["mean"])


def test_directions_in_which_tokens_do_not_vary_are_refused(tokens):
    """Made to have variance one, rounding would be magnified a thousandfold."""
    given = material(tokens)
    with pytest.raises(ConfigError, match="encoder pca: components 6 is more than the 5 dimensions in which tokens"):
        Pca(tokens="e", components=VARY + 1).pretrain(given, given, "x")
    with pytest.raises(ConfigError, match="encoder pca: 'e' gives no tokens"):
        Pca(tokens="e", components=2).pretrain(material(tokens[:, 0]), given, "x")
