"""How far two samples of one quantity are apart: in one dimension, and over classes."""

from collections.abc import Mapping

import numpy as np


def wasserstein(one: np.ndarray, other: np.ndarray) -> float:
    """Wasserstein-1 distance of values (n,) and (m,), in their unit: the area between their distribution functions.

    `scipy.stats.wasserstein_distance` without the second that scipy.stats takes to import.
    """
    one, other = np.sort(one), np.sort(other)
    both = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(of, both[:-1], side="right") / len(of) for of in (one, other)]
    return float((np.abs(shares[0] - shares[1]) * np.diff(both)).sum())


def by_kind(values: np.ndarray, kinds: np.ndarray) -> dict[int, np.ndarray]:
    """The values (n,) of each of the kinds (n,)."""
    order = np.argsort(kinds, kind="stable")
    names, number = np.unique(kinds, return_counts=True)
    ends = np.cumsum(number)
    return {name: values[order[end - n : end]] for name, n, end in zip(names.tolist(), number, ends, strict=True)}


def mean_wasserstein(samples: Mapping[int, np.ndarray], reference: Mapping[int, np.ndarray]) -> float:
    """Distances within kinds, averaged by how many values of each kind the reference has.

    A kind that the samples lack counts as if all its values were 0, so that leaving it out gains nothing; one that the
    reference lacks has no weight.
    """
    nothing = np.zeros(1)
    total = sum(map(len, reference.values()))
    apart = (len(values) * wasserstein(samples.get(kind, nothing), values) for kind, values in reference.items())
    return float(sum(apart) / total)


def total_variation(samples: np.ndarray, reference: np.ndarray) -> float:
    """Half the sum of differences of the shares of classes (n,) and (m,): 0 equal, 1 nothing in common."""
    if not len(samples):
        return 1.0
    _, place = np.unique(np.concatenate([samples, reference]), return_inverse=True)
    most = int(place.max()) + 1
    shares = [np.bincount(of, minlength=most) / len(of) for of in (place[: len(samples)], place[len(samples) :])]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)
