"""A linear classifier by ridge regression on standardised features: the probe that says how much is to be seen in them.

One column per class is fitted to 0 and 1; the largest prediction is the class. The strength of the penalty is the best
one on every fifth training row; then all of them are fitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRENGTHS = tuple(10.0**power for power in range(-3, 5))  # times the number of rows over 1,000
FOLDS = 5  # of which one chooses the strength


@dataclass(frozen=True)
class Linear:
    """Scores x @ weights + bias, a column per class, for features as they come.

    Attributes:
        weights: (dim, classes).
        bias: (classes,).
        classes: (classes,) int64.
    """

    weights: np.ndarray
    bias: np.ndarray
    classes: np.ndarray

    def predicted(self, features: np.ndarray) -> np.ndarray:
        """(n,) classes of features (n, dim)."""
        found: np.ndarray = self.classes[(features @ self.weights + self.bias).argmax(1)]
        return found


def fitted(features: np.ndarray, labels: np.ndarray) -> Linear:
    """The classifier of features (n, dim) with classes `labels` (n,)."""
    mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    std = np.where(std > 1e-6, std, 1.0)
    x = (features - mean) / std
    held = np.arange(len(x)) % FOLDS == 0
    best = STRENGTHS[0]
    if held.any() and not held.all():
        tried = _solutions(x[~held], labels[~held], STRENGTHS)
        best = STRENGTHS[int(np.argmax([np.mean(one.predicted(x[held]) == labels[held]) for one in tried]))]
    (own,) = _solutions(x, labels, [best])
    weights = own.weights / std[:, None]
    return Linear(weights, own.bias - mean @ weights, own.classes)


def probe(train: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Share of test rows (m, dim) whose class is predicted, after training rows (n, dim)."""
    return float(np.mean(fitted(train, labels).predicted(test) == test_labels))


def _solutions(x: np.ndarray, labels: np.ndarray, strengths: Sequence[float]) -> list[Linear]:
    """A classifier for each strength; one decomposition serves all."""
    classes, codes = np.unique(labels, return_inverse=True)
    wanted = np.eye(len(classes))[codes]
    offset, centre = wanted.mean(0), x.mean(0)
    values, vectors = np.linalg.eigh((x - centre).T @ (x - centre))
    turned = vectors.T @ ((x - centre).T @ (wanted - offset))
    found = []
    for strength in strengths:
        penalty = strength * max(len(x), 1) / 1000
        weights = vectors @ (turned / (np.maximum(values, 0) + penalty)[:, None])
        found.append(Linear(weights, offset - centre @ weights, classes))
    return found
