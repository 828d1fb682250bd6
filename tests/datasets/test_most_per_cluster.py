"""A split says how many families it really has, and no family takes more of a test split than is stated."""

from collections import Counter

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core.errors import ConfigError
from reedbench.datasets.chains_jsonl import ChainsJsonl
from reedbench.domains import clusters as families
from reedbench.steps import prepare as step


@pytest.fixture
def skewed(record, lines):
    """20 chains of one family and 30 of others, all for testing but those that train."""

    def write(turned: bool = False) -> str:
        chains = [record(f"big{i}", "ACDEF", cluster40="big") for i in range(20)]
        chains += [record(f"c{i}", "ACDEF", cluster40=f"g{i}") for i in range(30)]
        return lines(*(chains[::-1] if turned else chains))

    return write


def anew(dataset: ChainsJsonl, **changes) -> ChainsJsonl:
    """The same settings with some changed; a copy would keep the rows."""
    return ChainsJsonl(**{**dataset.plain(), **changes})


def held_out(dataset: ChainsJsonl) -> list[str]:
    made = dataset.rows()
    return [name for name, split in zip(made.ids, made.split, strict=True) if split == "test"]


def with_big_in_the_test(file: str, **settings) -> ChainsJsonl:
    """The first split seed that holds the large family out."""
    made = (ChainsJsonl(file=file, test_share=0.9, valid_share=0.0, split_seed=seed, **settings) for seed in range(100))
    return next(dataset for dataset in made if "big0" in "".join(held_out(anew(dataset, most_per_cluster=1.0))))


def test_equal_clusters_count_whole_and_one_large_cluster_counts_little():
    assert families.effective(np.full(7, 3)) == pytest.approx(7)
    assert families.effective(np.array([97, 1, 1, 1])) == pytest.approx(1 / (0.97**2 + 3 * 0.01**2))


def test_shares_are_of_chains_and_of_residues():
    of = families.described(np.array([5, 5, 9, 1]), ["test", "test", "test", "train"], np.array([10, 10, 60, 4]))
    assert of["test"] == {
        "chains": 3, "clusters": 2, "effective_clusters": pytest.approx(1.8),
        "effective_clusters_by_residues": pytest.approx(1.6), "largest_share": pytest.approx(2 / 3),
        "largest_share_of_residues": 0.75,
    }  # fmt: skip
    assert of["train"]["effective_clusters"] == 1


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5, 0.9])
def test_no_cluster_has_more_than_its_share_and_as_much_as_possible_stays(share):
    rng = np.random.default_rng(0)
    for _ in range(30):
        sizes = rng.integers(1, 60, size=int(rng.integers(20, 40)))
        most = families.most_chains(sizes.tolist(), share)
        kept = np.minimum(sizes, most)
        assert kept.max() <= share * kept.sum()
        more = np.minimum(sizes, most + 1)
        assert most >= sizes.max() or more.max() > share * more.sum()


def test_a_test_split_takes_at_most_the_stated_share_from_one_cluster(skewed):
    dataset = with_big_in_the_test(skewed(), most_per_cluster=0.1)
    names = held_out(dataset)
    big = sum(name.startswith("big") for name in names)
    assert 0 < big <= 0.1 * len(names)
    assert dataset.facts()["left_out"] == {"most_per_cluster": 20 - big}
    assert dataset.facts()["clusters_by_split"]["test"]["largest_share"] == big / len(names)
    assert big + 1 > 0.1 * (len(names) + 1)


def test_a_limit_leaves_the_other_splits_and_the_other_clusters_alone(skewed):
    limited = with_big_in_the_test(skewed(), most_per_cluster=0.1)
    free = anew(limited, most_per_cluster=1.0)
    gone = set(free.rows().ids) - set(limited.rows().ids)
    assert {name[:3] for name in gone} == {"big"}
    splits = dict(zip(free.rows().ids, free.rows().split, strict=True))
    assert [splits[name] for name in limited.rows().ids] == list(limited.rows().split)


def test_which_chains_stay_does_not_depend_on_the_order_of_the_source(skewed):
    one = with_big_in_the_test(skewed(), most_per_cluster=0.1)
    first = held_out(one)
    other = held_out(anew(one, file=skewed(turned=True)))
    assert sorted(first) == sorted(other)
    assert Counter(name[:3] for name in first)["big"] > 0


def test_a_share_that_no_split_can_have_is_refused_with_the_least_one(skewed):
    dataset = with_big_in_the_test(skewed(), most_per_cluster=0.01)
    with pytest.raises(ConfigError, match=r"chains-jsonl: most_per_cluster 0.01 needs .* 100 clusters, and it has 28"):
        dataset.rows()


@pytest.mark.parametrize("share", [0, 1.1, -0.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValidationError):
        ChainsJsonl(file="x", most_per_cluster=share)


def test_prepare_says_effective_clusters_and_the_largest_share(skewed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dataset = ChainsJsonl(file=skewed(), test_share=0.5, valid_share=0.0)

    class Suite:
        def dataset(self, name):
            return dataset

    class Arguments:
        dataset = "chains-jsonl"

    step.prepare(Suite(), Arguments())
    said = capsys.readouterr().err
    assert sum(line.startswith("chains-jsonl: ") for line in said.splitlines()) == 2
    assert "chains-jsonl: test: " in said
    assert "effective (inverse Simpson" in said
    assert "% of chains" in said
