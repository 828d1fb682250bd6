"""Ridge regression on standardised features, of classes or of numbers: the probe that says how much is to be seen.

Of classes one column each is fitted to 0 and 1, and the largest prediction is the class. The strength of the penalty is
the best one on every fifth training row; then all of them are fitted.
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
    classes, codes = np.unique(labels, return_inverse=True)
    x, mean, std = _standardised(features)
    held = np.arange(len(x)) % FOLDS == 0
    best = STRENGTHS[0]
    if held.any() and not held.all():
        of_rest, codes_of_rest = np.unique(labels[~held], return_inverse=True)
        tried = [Linear(*one, of_rest) for one in _solutions(x[~held], np.eye(len(of_rest))[codes_of_rest], STRENGTHS)]
        best = STRENGTHS[int(np.argmax([np.mean(one.predicted(x[held]) == labels[held]) for one in tried]))]
    ((own, bias),) = _solutions(x, np.eye(len(classes))[codes], [best])
    weights = own / std[:, None]
    return Linear(weights, bias - mean @ weights, classes)


def probe(train: np.ndarray, labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray) -> float:
    """Share of test rows (m, dim) whose class is predicted, after training rows (n, dim)."""
    return float(np.mean(fitted(train, labels).predicted(test) == test_labels))


def explained(train: np.ndarray, values: np.ndarray, test: np.ndarray, test_values: np.ndarray) -> float:
    """R^2 of numbers (m,) of test rows (m, dim), after training rows (n, dim) with numbers (n,).

    It is 1 less the mean squared error over that of the test rows' own mean; where these are all alike, 0.
    """
    x, mean, std = _standardised(train)
    wanted, held = np.asarray(values, np.float64)[:, None], np.arange(len(x)) % FOLDS == 0
    best = STRENGTHS[0]
    if held.any() and not held.all():
        tried = _solutions(x[~held], wanted[~held], STRENGTHS)
        best = STRENGTHS[int(np.argmin([np.square(x[held] @ w + b - wanted[held]).sum() for w, b in tried]))]
    ((weights, bias),) = _solutions(x, wanted, [best])
    error = np.square(((test - mean) / std @ weights + bias)[:, 0] - test_values).sum()
    spread = np.square(test_values - np.mean(test_values)).sum()
    return float(1 - error / spread) if spread > 0 else 0.0


def _standardised(features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of mean 0 and deviation 1, and the mean and deviation that they had."""
    mean, std = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    std = np.where(std > 1e-6, std, 1.0)
    return (features - mean) / std, mean, std


def _solutions(x: np.ndarray, wanted: np.ndarray, strengths: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights (dim, columns) and bias (columns,) for each strength; one decomposition serves all."""
    offset, centre = wanted.mean(0), x.mean(0)
    values, vectors = np.linalg.eigh((x - centre).T @ (x - centre))
    turned = vectors.T @ ((x - centre).T @ (wanted - offset))
    found = []
    for strength in strengths:
        penalty = strength * max(len(x), 1) / 1000
        weights = vectors @ (turned / (np.maximum(values, 0) + penalty)[:, None])
        found.append((weights, offset - centre @ weights))
    return found
