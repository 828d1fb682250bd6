"""How many independent families a split holds, and how much of it one of them may be.

Chains of one cluster are homologues: what a network does on one of them it does on all, so that they count as little
more than one observation.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from reedbench.core import seeds
from reedbench.core.errors import ConfigError


def effective(weights: np.ndarray) -> float:
    """Effective number of clusters: the inverse Simpson index 1 / sum p^2 of their shares p.

    As many clusters of equal size give a pooled mean the same variance, where chains of a cluster are alike: Kish 1965,
    Survey Sampling; Hill 1973, https://doi.org/10.2307/1934352 (order 2).

    Args:
        weights: (clusters,) positive: chains or residues of each.
    """
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    return float(1 / np.sum(shares**2))


def described(clusters: np.ndarray, splits: Sequence[str], lengths: np.ndarray) -> dict[str, dict[str, Any]]:
    """Of each split: chains, clusters, effective clusters and the share of the largest, by chains and by residues.

    Args:
        clusters: (n,) number of each chain's cluster.
        splits: (n,) split of each chain.
        lengths: (n,) residues of each chain.
    """
    found: dict[str, dict[str, Any]] = {}
    for split in sorted(set(splits)):
        here = np.asarray(splits) == split
        _, place = np.unique(clusters[here], return_inverse=True)
        chains, residues = np.bincount(place), np.bincount(place, lengths[here])
        found[split] = {
            "chains": int(here.sum()),
            "clusters": len(chains),
            "effective_clusters": effective(chains),
            "effective_clusters_by_residues": effective(residues),
            "largest_share": float(chains.max() / chains.sum()),
            "largest_share_of_residues": float(residues.max() / residues.sum()),
        }
    return found


def lines(described_splits: dict[str, dict[str, Any]]) -> list[str]:
    """What `described` found, a line per split."""
    return [
        f"{split}: {of['chains']} chains in {of['clusters']} clusters, {of['effective_clusters']:.1f} effective "
        f"(inverse Simpson; {of['effective_clusters_by_residues']:.1f} by residues); the largest holds "
        f"{of['largest_share']:.1%} of chains and {of['largest_share_of_residues']:.1%} of residues"
        for split, of in described_splits.items()
    ]


def most_chains(sizes: Sequence[int], share: float) -> int:
    """Chains that a cluster may keep, so that none has more than a share of all that are then kept.

    Args:
        sizes: (clusters,) chains of each cluster.
        share: of the kept chains, above 0 and at most 1.

    Returns:
        The largest such number; 0 where even one chain of each cluster is more than the share.
    """
    counts = np.asarray(sizes)
    allowed = (most for most in range(counts.max(), 0, -1) if most <= share * np.minimum(counts, most).sum())
    return next(allowed, 0)


def surplus(names: Sequence[str], clusters: Sequence[str], share: float, stream: str) -> set[str]:
    """Chains to leave out so that no cluster has more than a share of those that stay.

    Which chains of a cluster stay is decided by a digest of their names, so that the order of the source does not
    matter.

    Args:
        names: (n,) of the chains, different.
        clusters: (n,) of the chains.
        share: above 0 and at most 1.
        stream: what the digest is for, such as the name of the data set.

    Raises:
        ConfigError: there are too few clusters.
    """
    sizes = Counter(clusters)
    if not sizes or share == 1:
        return set()
    if not (most := most_chains(list(sizes.values()), share)):
        raise ConfigError(
            f"most_per_cluster {share:g} needs a test split of at least {int(np.ceil(1 / share))} clusters, and it has "
            f"{len(sizes)}: raise most_per_cluster to {np.ceil(1000 / len(sizes)) / 1000:g} or more, or hold out more "
            "clusters"
        )
    order = sorted(zip(names, clusters, strict=True), key=lambda pair: seeds.of("most-per-cluster", stream, pair[0]))
    kept: Counter[str] = Counter()
    left: set[str] = set()
    for name, cluster in order:
        kept[cluster] += 1
        if kept[cluster] > most:
            left.add(name)
    return left
