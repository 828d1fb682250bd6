"""The map that makes tokens white: their leading principal components, each with mean 0 and variance 1."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from reedbench.core.errors import ConfigError

VARIES = 1e-9  # share of the largest variance below which a direction is rounding, and not of the data


@dataclass(frozen=True)
class Whitening:
    """A fixed linear map, (x - mean) @ map.

    Attributes:
        mean: (width,) float32.
        map: (width, dim) float32; the largest entry of each column is positive, so that it depends on moments alone.
        share: of the variance that is kept.
        tokens: how many it was made from.
    """

    mean: np.ndarray
    map: np.ndarray
    share: float
    tokens: int


def whitening(parts: Iterable[np.ndarray], dim: int, asked: str) -> Whitening:
    """From tokens (n, tokens, width), part by part, with moments in float64.

    Args:
        parts: of the training split.
        dim: components, those of largest variance.
        asked: who asks for as many, for the message.

    Raises:
        ConfigError: there are fewer in which tokens vary.
    """
    number, first, second = 0, np.zeros(()), np.zeros(())
    for part in parts:
        tokens = part.reshape(-1, part.shape[-1]).astype(np.float64)
        number, first, second = number + len(tokens), first + tokens.sum(0), second + tokens.T @ tokens
    mean = first / number
    variances, components = np.linalg.eigh(second / number - np.outer(mean, mean))  # rising
    vary = int((variances > VARIES * variances[-1]).sum())
    if dim > vary:
        raise ConfigError(f"{asked} {dim} is more than the {vary} dimensions in which tokens vary")
    kept = np.arange(len(variances) - 1, len(variances) - 1 - dim, -1)
    leading = components[:, kept]
    leading = leading * np.sign(leading[np.abs(leading).argmax(0), np.arange(dim)])
    return Whitening(
        mean.astype(np.float32),
        (leading / np.sqrt(variances[kept])).astype(np.float32),
        float(variances[kept].sum() / variances.sum()),
        number,
    )
