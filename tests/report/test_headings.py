"""Columns for people leave out version and number of samples, and nothing else."""

import pytest

from reedbench.report.digest import heading_of


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("fd@digits-clf.v1-n1437", "fd@digits-clf"),
        ("masked-perplexity@0.5.v1-n128", "masked-perplexity@0.5"),
        ("recovery@argmax+vote=cluster.v12-n8", "recovery@argmax+vote=cluster"),
        ("designable@esmfold-best.v1-n800-k8", "designable@esmfold-best-k8"),
        ("sc-rmsd@esmfold-best-median+vote=cluster.v1-n800-k8", "sc-rmsd@esmfold-best-median+vote=cluster-k8"),
        ("recovery@state.v1-n128-k2", "recovery@state"),
        ("fd@net.v2-n7.v1-n10", "fd@net.v2-n7"),
    ],
)
def test_a_heading_says_of_how_many_samples_the_best_was_taken(name, heading):
    assert heading_of(name) == heading
