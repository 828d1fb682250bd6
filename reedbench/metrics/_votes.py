"""Who has a vote in a number on chains, and how far the number would move with other clusters.

Chains of a cluster are homologues: a pooled number mostly says how the largest cluster does, and its uncertainty is
that of clusters, not of chains. So numbers are functions of how often each cluster counts: once each gives the value,
drawing clusters with replacement gives its bootstrap interval (Efron 1979, https://doi.org/10.1214/aos/1176344552; by
cluster: Field and Welsh 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from reedbench.core import seeds
from reedbench.domains import clusters as families

Statistic = Literal["mean", "median"]
STATISTICS: dict[Statistic, Callable[[np.ndarray], np.floating]] = {"mean": np.mean, "median": np.median}
RESAMPLES = 2000
LIMITS = (2.5, 97.5)  # percentiles


@dataclass(frozen=True)
class Votes:
    """A number as a function of its clusters.

    Attributes:
        chains: (clusters,) how many things were counted in each cluster that has a vote.
        count: the number, where cluster i counts `counts[i]` times; counts (clusters,) are whole.
    """

    chains: np.ndarray
    count: Callable[[np.ndarray], float]

    def value(self) -> float:
        """The number: every cluster counts once."""
        return float(self.count(np.ones(len(self.chains), np.int64)))

    def spread(self) -> dict[str, Any]:
        """Percentile interval over resampled clusters, by a named stream; or why there is none.

        All metrics and methods draw the same clusters, so that their resamples are paired.
        """
        number = len(self.chains)
        if number < 2:
            return {"kind": "none", "reason": "all chains are one cluster: nothing says how others would do"}
        rng = seeds.numpy_stream("bootstrap-of-clusters")
        draws = rng.multinomial(number, np.full(number, 1 / number), size=RESAMPLES)
        values = np.array([self.count(counts) for counts in draws], np.float64)
        low, high = np.percentile(values, LIMITS)
        return {
            "kind": "bootstrap95-of-clusters",
            "low": float(low),
            "high": float(high),
            "clusters": number,
            "effective_clusters": families.effective(self.chains),
            "resamples": RESAMPLES,
        }


def of_sums(
    sums: np.ndarray, weights: np.ndarray, clusters: np.ndarray, *, per_cluster: bool, then: Callable[[float], float]
) -> Votes:
    """A ratio of sums over samples: all at once, or the mean over clusters of each one's own ratio.

    Args:
        sums: (n,) of each sample, such as its residues that are right.
        weights: (n,) what they are of, such as its residues; a cluster where these add up to 0 has no vote.
        clusters: (n,) cluster of each sample.
        per_cluster: whether each cluster has one vote, in place of each residue.
        then: applied to the ratio, such as exp.
    """
    place, samples = _places(clusters)
    above, below = (np.bincount(place, np.asarray(x, np.float64)) for x in (sums, weights))
    there = below > 0
    above, below = above[there], below[there]
    if per_cluster:
        rates = above / below
        return Votes(samples[there], lambda counts: then(float(counts @ rates / counts.sum())))
    return Votes(samples[there], lambda counts: then(float(counts @ above / (counts @ below))))


def of_units(values: np.ndarray, clusters: np.ndarray, statistic: Statistic, *, per_cluster: bool) -> Votes:
    """The mean or median over chains (or samples), or over the means of clusters.

    Args:
        values: (n,) one number per chain.
        clusters: (n,) cluster of each.
        statistic: over what has a vote.
        per_cluster: whether each cluster has one vote, in place of each chain.
    """
    place, chains = _places(clusters)
    values, where = np.asarray(values, np.float64), place
    if per_cluster:
        values, where = np.bincount(place, values) / chains, np.arange(len(chains))
    of = STATISTICS[statistic]
    return Votes(chains, lambda counts: float(of(np.repeat(values, counts[where]))))


def _places(clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clusters as 0, 1, ... (n,), and how many samples each has."""
    _, place, number = np.unique(clusters, return_inverse=True, return_counts=True)
    return place, number
