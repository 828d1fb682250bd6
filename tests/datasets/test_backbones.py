"""The embedded protein dataset: whole, the same each time, and with an optimum that is told."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.datasets.backbones import TIMES, Backbones
from reedbench.domains import sequence_law
from reedbench.domains.protein import resolved
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.nn.residues import AMINO_ACIDS


def few(**more) -> Backbones:
    return Backbones(**{"chains": 6, "test_chains": 4, **more})


@pytest.fixture(scope="module")
def rows() -> Rows:
    return few().rows()


def test_rows_have_the_arrays_of_proteins(rows):
    assert list(rows.ids) == [*(f"train-{i:04d}" for i in range(6)), *(f"test-{i:04d}" for i in range(4))]
    assert list(rows.split) == [TRAIN] * 6 + [TEST] * 4
    coordinates, tokens, chain = (rows.arrays[name] for name in ("coordinates", "tokens", "chain"))
    assert [array.dtype for array in (coordinates, tokens, chain)] == [np.float32, np.uint8, np.uint8]
    assert coordinates.shape == (10, -1, 4, 3)
    assert coordinates.lengths.tolist() == tokens.lengths.tolist() == chain.lengths.tolist()
    assert all(resolved(x).all() for x in coordinates)
    assert set(chain.values.tolist()) == {1}
    assert tokens.values.max() < len(AMINO_ACIDS)
    assert rows.arrays["cluster"].tolist() == list(range(10))


def test_lengths_are_in_the_range_that_is_asked_for(rows):
    lengths = rows.arrays["tokens"].lengths
    assert 40 <= lengths.min() < lengths.max() <= 60
    short = few(min_length=20, max_length=20).rows()
    assert short.arrays["tokens"].lengths.tolist() == [20] * 10


def test_rows_are_the_same_bytes_each_time(rows):
    again = few().rows()
    for name in ("coordinates", "tokens"):
        assert rows.arrays[name].values.tobytes() == again.arrays[name].values.tobytes()


def test_no_two_chains_are_the_same(rows):
    assert len({x.tobytes() for x in rows.arrays["coordinates"]}) == len(rows)
    assert len({x.tobytes() for x in rows.arrays["tokens"]}) == len(rows)


def test_chains_do_not_depend_on_how_many_there_are(rows):
    more = few(chains=8, test_chains=5, name="more").rows()
    for split in (TRAIN, TEST):
        for one, other in zip(rows.where(split).arrays["tokens"], more.where(split).arrays["tokens"], strict=False):
            np.testing.assert_array_equal(one, other)


def test_another_law_changes_sequences_and_no_backbone(rows):
    other = few(sharpness=0.5).rows()
    np.testing.assert_array_equal(rows.arrays["coordinates"].values, other.arrays["coordinates"].values)
    assert (rows.arrays["tokens"].values != other.arrays["tokens"].values).mean() > 0.3


def test_sequences_follow_the_law_of_their_environments(rows):
    """Their likelihood is that of sequences that the law draws, and not that of the same sequences elsewhere."""
    law = few().law()

    def surprise(tokens: np.ndarray, environment: np.ndarray) -> float:
        following = law.following[environment[1:], tokens[:-1], tokens[1:]]
        return -np.mean(np.log([law.first[environment[0], tokens[0]], *following]))

    environment = [sequence_law.environments(x) for x in rows.arrays["coordinates"]]
    drawn = [np.mean([surprise(s, e) for s in law.sample(e, 50, np.random.default_rng(0))]) for e in environment]
    found = [surprise(s, e) for s, e in zip(rows.arrays["tokens"], environment, strict=True)]
    reversed_ = [surprise(s, e[::-1]) for s, e in zip(rows.arrays["tokens"], environment, strict=True)]
    assert abs(np.mean(found) - np.mean(drawn)) < 0.2
    assert np.mean(reversed_) > np.mean(found) + 0.3


def test_facts_tell_the_optimum_of_the_test_chains():
    facts = few().facts()
    assert facts == few(chains=1).facts()
    assert facts == json.loads(json.dumps(facts, allow_nan=False))
    best = facts["optimum"]
    assert list(best["perplexity"]) == list(best["masked_recovery"]) == [str(t) for t in TIMES]
    assert 0.33 < best["recovery"] < 0.45
    assert 6 < best["structure_perplexity"] < 10
    assert best["expected_perplexity"]["0.9"] < 0.75 * best["structure_perplexity"]
    assert best["greedy_recovery"] < best["recovery"]
    assert facts["law"]["sharpness"] == 1.4


def test_the_card_says_that_it_is_no_biology():
    card = " ".join(few(test_chains=1).facts()["card"])
    assert "These proteins do not exist" in card
    assert "says nothing of biology" in card


def test_environments_have_their_own_favourite_letters():
    """Else structure would say less than it seems, and one letter would do for most of the recovery."""
    favourites = few().law().first.argmax(axis=1)
    assert len(set(favourites.tolist())) >= 5


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"min_length": 61}, "min_length 61 is above max_length 60"),
        ({"chains": 0}, "chains"),
        ({"noise": -1.0}, "noise"),
        ({"coupling": -0.5}, "coupling"),
    ],
)
def test_settings_that_make_no_dataset_are_refused(wrong, reason):
    with pytest.raises(ValidationError, match=reason):
        few(**wrong)
