"""One vote per cluster, and the interval over clusters: on cases that are worked out by hand, and by simulation."""

import math
from typing import Any

import numpy as np
import pytest
from made_designs import Evidence, evidence, folded, scored

from reedbench.core import plugins
from reedbench.metrics import _votes


def metric(name: str, **settings: Any) -> Any:
    return plugins.discover("metrics")[name](uses=name, **settings)


def in_clusters(seen: Any, numbers: list[int]) -> Any:
    """The same evidence with the cluster of each sample's chain."""
    seen.asked.arrays["cluster"] = np.array(numbers)
    return seen


def three() -> Evidence:
    """Chains of 4 residues: two of one family, recovered to 1 and 3/4, and one alone, recovered to 1/4."""
    natives = dict.fromkeys("abc", "AAAA")
    return in_clusters(evidence({"a/0": "AAAA", "b/0": "AAAC", "c/0": "ACCC"}, natives), [7, 7, 3])


def test_recovery_with_a_vote_per_cluster_is_the_mean_over_clusters():
    assert metric("recovery").measured(three()) == 8 / 12
    assert metric("recovery", vote="cluster").measured(three()) == pytest.approx((7 / 8 + 1 / 4) / 2)


def test_chain_recovery_with_a_vote_per_cluster_is_over_the_means_of_clusters():
    for statistic in ("mean", "median"):  # of two clusters they are the same
        got = metric("chain-recovery", statistic=statistic, vote="cluster").measured(three())
        assert got == pytest.approx((7 / 8 + 1 / 4) / 2)
    assert metric("chain-recovery", statistic="median").measured(three()) == 0.75


def test_perplexity_with_a_vote_per_cluster_takes_the_mean_of_logarithms():
    seen = in_clusters(scored([0.5], [[3.0], [1.0]], [[4], [1]]), [1, 2])
    assert metric("masked-perplexity", at=0.5).measured(seen) == pytest.approx(math.exp(4 / 5))
    assert metric("masked-perplexity", at=0.5, vote="cluster").measured(seen) == pytest.approx(
        math.exp((3 / 4 + 1) / 2)
    )


def test_the_bound_with_a_vote_per_cluster_is_the_mean_of_bounds_per_residue():
    seen = in_clusters(scored([0.25, 0.75], [[3.0, 1.0], [0.0, 2.0]], [[1, 1], [0, 1]]), [1, 2])
    assert metric("elbo", vote="cluster", times=2).measured(seen) == pytest.approx((4 / 6 + 4 / 4) / 2)


def test_a_cluster_in_which_nothing_was_masked_has_no_vote():
    seen = in_clusters(scored([0.5], [[3.0], [0.0]], [[4], [0]]), [1, 2])
    assert metric("masked-perplexity", at=0.5, vote="cluster").measured(seen) == pytest.approx(math.exp(3 / 4))
    assert metric("masked-perplexity", at=0.5).spread(seen)["kind"] == "none"


def test_folded_metrics_have_a_vote_per_cluster_of_samples_or_of_the_best():
    seen = in_clusters(folded((1, 3, 2.5, 0.5)), [1, 2, 1, 2])  # chain one: 1, 2.5; chain two: 3, 0.5
    assert metric("designable", folder="f", vote="cluster").measured(seen) == 0.5
    assert metric("sc-rmsd", folder="f", vote="cluster").measured(seen) == pytest.approx(1.75, rel=1e-4)
    assert metric("sc-rmsd", folder="f", vote="cluster", best=True).measured(seen) == pytest.approx(0.75, rel=1e-4)


def test_where_the_data_know_no_clusters_every_chain_is_one():
    seen = three()
    del seen.asked.arrays["cluster"]
    assert metric("recovery", vote="cluster").measured(seen) == pytest.approx((1 + 0.75 + 0.25) / 3)
    assert metric("recovery").spread(seen)["clusters"] == 3


@pytest.mark.parametrize(
    ("name", "settings", "family"),
    [
        ("recovery", {"vote": "cluster"}, "recovery@state+vote=cluster"),
        ("recovery", {"of": "argmax", "vote": "cluster"}, "recovery@argmax+vote=cluster"),
        ("chain-recovery", {"statistic": "median", "vote": "cluster"}, "chain-recovery@state-median+vote=cluster"),
        ("masked-perplexity", {"at": 0.5, "vote": "cluster"}, "masked-perplexity@0.5+vote=cluster"),
        ("designable", {"folder": "f", "best": True, "vote": "cluster"}, "designable@f-best+vote=cluster"),
        ("recovery", {"vote": "residue"}, "recovery@state"),
    ],
)
def test_the_vote_is_in_the_id_where_it_is_not_the_default(name, settings, family):
    made = metric(name, **settings)
    assert made.family == family
    assert ("one vote per cluster" in made.heading) == ("+vote=cluster" in family)


def test_the_spread_says_clusters_effective_clusters_and_an_interval_around_the_value():
    seen = three()
    for name, settings in (("recovery", {}), ("recovery", {"vote": "cluster"}), ("chain-recovery", {})):
        made = metric(name, **settings)
        spread = made.spread(seen)
        assert spread["kind"] == "bootstrap95-of-clusters"
        assert (spread["clusters"], spread["effective_clusters"]) == (2, pytest.approx(1.8))
        assert (spread["low"], spread["high"]) == (pytest.approx(1 / 4), pytest.approx(7 / 8))
        assert made.spread(seen) == spread
    assert metric("composition").spread(seen)["kind"] == "bootstrap95-of-clusters"


def test_one_cluster_has_no_interval_but_a_reason():
    seen = in_clusters(three(), [7, 7, 7])
    assert metric("recovery").spread(seen) == {
        "kind": "none", "reason": "all chains are one cluster: nothing says how others would do",
    }  # fmt: skip


def family_effects(rng: np.random.Generator, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chains whose values differ more between clusters than within; the truth is 0."""
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(size=len(sizes))[clusters] + 0.1 * rng.normal(size=len(clusters)), clusters


def test_the_interval_over_clusters_holds_the_truth_where_one_over_chains_does_not():
    rng, sizes = np.random.default_rng(0), np.array([20] * 5 + [1] * 60)
    within = {"clusters": 0, "chains": 0}
    for _ in range(200):
        values, clusters = family_effects(rng, sizes)
        for by, groups in (("clusters", clusters), ("chains", np.arange(len(values)))):
            votes = _votes.of_units(values, groups, "mean", per_cluster=by == "clusters")
            spread = votes.spread()
            within[by] += spread["low"] <= 0 <= spread["high"]
    assert within["clusters"] >= 180  # of 200; 95 % are 190
    assert within["chains"] <= 140
