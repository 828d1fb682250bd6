"""Tokens of another encoder, as those that are made of them find them."""

import numpy as np

from reedbench.domains.rows import Rows
from reedbench.encoders import Material

ROWS, TOKENS, WIDTH, VARY = 50, 4, 6, 5


def material(tokens: np.ndarray) -> Material:
    rows = Rows([f"{i:02d}" for i in range(len(tokens))], ["train"] * len(tokens), {"labels": np.zeros(len(tokens))})
    return Material(rows, None, {"e": tokens})


def varying() -> np.ndarray:
    """Correlated, off the origin, and of five dimensions only."""
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((ROWS, TOKENS, VARY)) @ rng.standard_normal((VARY, WIDTH))
    return (3 + mixed).astype(np.float32)
