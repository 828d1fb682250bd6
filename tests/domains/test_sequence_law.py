"""The law of sequences: environments follow the coordinates, and posteriors are those of brute force."""

import itertools

import numpy as np
import pytest

from reedbench.domains import sequence_law
from reedbench.domains.made_backbones import make
from reedbench.domains.sequence_law import ENVIRONMENTS, SHAPES, Law, Native, burial, environments, optimum, shapes
from reedbench.nn import backbone_features
from reedbench.nn.residues import MASK


@pytest.fixture(scope="module")
def chains() -> list[np.ndarray]:
    return [make(40 + i, 6.0, np.random.default_rng(i)) for i in range(20)]


@pytest.fixture
def small() -> Law:
    return Law.declared(2, 3, sharpness=1.0, coupling=1.5, rng=np.random.default_rng(0))


# Environments


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return rotation * np.linalg.det(rotation)


def test_environments_do_not_change_when_the_backbone_moves(chains):
    rng = np.random.default_rng(0)
    for x in chains:
        moved = x.astype(float) @ random_rotation(rng).T + [30.0, -5.0, 8.0]
        np.testing.assert_allclose(burial(moved), burial(x), atol=1e-9)
        np.testing.assert_array_equal(environments(moved), environments(x))


def test_little_noise_changes_few_environments(chains):
    rng = np.random.default_rng(0)
    before = np.concatenate([environments(x) for x in chains])
    after = np.concatenate([environments(x + 0.1 * rng.standard_normal(x.shape)) for x in chains])
    assert 0 < np.mean(before != after) < 0.08


def test_every_environment_is_common(chains):
    found = np.bincount(np.concatenate([environments(x) for x in chains]), minlength=len(ENVIRONMENTS))
    assert len(found) == len(ENVIRONMENTS)
    assert (found / found.sum()).min() > 0.05


def line(step: float, turn: float, length: int = 12) -> np.ndarray:
    """Backbone whose CA atoms climb by `step` and turn by `turn` degrees about an axis at 2.3 Angstrom."""
    i = np.arange(length)
    ca = np.stack([2.3 * np.cos(np.radians(turn) * i), 2.3 * np.sin(np.radians(turn) * i), step * i], axis=1)
    atoms = np.array([[-1.4, 0, 0], [0, 0, 0], [0, 1.5, 0], [0, 2, 1]])
    return ca[:, None] + atoms


def test_a_helix_and_a_strand_are_told_from_alpha_carbons():
    helix, strand = (SHAPES.index(name) for name in ("helix", "strand"))
    assert (shapes(line(1.5, 100.0))[2:-2] == helix).all()  # rise and turn of an alpha helix
    assert (shapes(line(3.3, 0.0))[2:-2] == strand).all()


def test_ends_are_loops():
    assert (shapes(line(1.5, 100.0))[[0, 1, -2, -1]] == SHAPES.index("loop")).all()


def test_burial_counts_residues_around_softly():
    """Nine residues far from all others, but for the last, at a known distance from the first."""
    x = line(100.0, 0.0, length=9)
    x[8] = x[0] + [0, 0, 10.0]
    np.testing.assert_allclose(burial(x)[[0, 4, 8]], [0.5, 0, 0.5], atol=1e-12)
    x[8] = x[0] + [0, 0, 8.0]
    np.testing.assert_allclose(burial(x)[0], 1 / (1 + np.exp(-2)), atol=1e-12)


def test_the_virtual_cb_is_that_of_the_network():
    assert (sequence_law.CB_A, sequence_law.CB_B, sequence_law.CB_C) == backbone_features.CB


def test_neighbours_in_the_chain_do_not_bury():
    x = line(100.0, 0.0, length=9)
    x[3] = x[0] + [0, 0, 5.0]
    assert burial(x)[0] == pytest.approx(0, abs=1e-12)
    x[4] = x[0] + [0, 0, 5.0]
    assert burial(x)[0] > 0.99


# The law


def probability(law: Law, environment: np.ndarray, letters: tuple[int, ...]) -> float:
    p = law.first[environment[0], letters[0]]
    for i in range(1, len(letters)):
        p *= law.following[environment[i], letters[i - 1], letters[i]]
    return p


def enumerated(law: Law, environment: np.ndarray, observed: list[int]) -> np.ndarray:
    """Posterior by summing over all sequences; -1 is unseen."""
    out = np.zeros((len(environment), 3))
    for letters in itertools.product(range(3), repeat=len(environment)):
        if all(o in (-1, a) for o, a in zip(observed, letters, strict=True)):
            out[np.arange(len(letters)), letters] += probability(law, environment, letters)
    return out / out.sum(axis=1, keepdims=True)


def test_tables_are_the_declared_powers_of_ranks():
    law = Law.declared(2, 4, sharpness=2.0, coupling=0.5, rng=np.random.default_rng(1))
    weights = np.array([1, 1 / 4, 1 / 9, 1 / 16])
    np.testing.assert_allclose(np.sort(law.first, axis=1)[:, ::-1], np.tile(weights / weights.sum(), (2, 1)))
    # p(a | b, e) / p_1(a | e) is proportional to the rank of a in the order that goes with b, in every environment.
    ratio = law.following / law.first[:, None, :]
    ranks = (ratio / ratio.max(axis=2, keepdims=True)) ** -2
    np.testing.assert_allclose(np.sort(ranks, axis=2), np.tile([1, 2, 3, 4], (2, 4, 1)))
    np.testing.assert_allclose(ranks[0], ranks[1])


def test_probabilities_sum_to_one(small):
    np.testing.assert_allclose(small.first.sum(axis=-1), 1)
    np.testing.assert_allclose(small.following.sum(axis=-1), 1)


@pytest.mark.parametrize(
    "observed",
    [[-1] * 6, [-1, -1, 2, -1, -1, 0], [1, -1, -1, -1, -1, -1], [0, 1, -1, 2, 2, 1], [2, 1, 0, 0, 1, 2]],
)
def test_posteriors_are_those_of_brute_force(small, observed):
    environment = np.array([0, 1, 1, 0, 1, 0])
    posterior = small.posterior(environment, np.array(observed))
    np.testing.assert_allclose(posterior, enumerated(small, environment, observed), atol=1e-14)


def test_posteriors_of_a_batch_are_those_of_its_rows(small):
    environment = np.array([0, 1, 1, 0, 1])
    observed = np.random.default_rng(0).integers(-1, 3, (4, 2, 5))
    batch = small.posterior(environment, observed)
    assert batch.shape == (4, 2, 5, 3)
    for row in np.ndindex(4, 2):
        np.testing.assert_allclose(batch[row], small.posterior(environment, observed[row]), atol=1e-15)


def test_the_mask_token_is_unseen(small):
    environment = np.array([0, 1, 0])
    masked = small.posterior(environment, np.array([MASK, 1, MASK], np.uint8))
    np.testing.assert_array_equal(masked, small.posterior(environment, np.array([-1, 1, -1])))


def test_posteriors_of_long_chains_do_not_underflow():
    law = Law.declared(6, 20, sharpness=3.0, coupling=3.0, rng=np.random.default_rng(0))
    posterior = law.posterior(np.arange(3000) % 6, np.full(3000, -1))
    np.testing.assert_allclose(posterior.sum(axis=-1), 1)


def test_samples_follow_the_law(small):
    environment = np.array([0, 1, 1, 0])
    samples = small.sample(environment, 40_000, np.random.default_rng(0))
    assert samples.dtype == np.uint8
    codes = samples @ 3 ** np.arange(4)
    for letters in itertools.product(range(3), repeat=4):
        p = probability(small, environment, letters)
        share = np.mean(codes == np.dot(letters, 3 ** np.arange(4)))
        assert abs(share - p) < 5 * np.sqrt(p * (1 - p) / 40_000)


def test_samples_are_a_function_of_the_stream(small):
    one, again, other = (small.sample(np.zeros(30, int), 2, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert one.tobytes() == again.tobytes()
    assert one.tobytes() != other.tobytes()


# The optimum

TIMES = (0.1, 0.5, 0.9)


@pytest.fixture(scope="module")
def big() -> Law:
    return Law.declared(6, 20, sharpness=1.4, coupling=1.0, rng=np.random.default_rng(5))


@pytest.fixture(scope="module")
def natives(chains, big) -> list[Native]:
    rng = np.random.default_rng(1)
    return [Native(e := environments(x), big.sample(e, 1, rng)[0]) for x in chains[:8]]


@pytest.fixture(scope="module")
def best(big, natives) -> dict:
    return optimum(big, natives, TIMES, draws=4, rng=np.random.default_rng(2))


def matches(law: Law, natives: list[Native], guess: np.ndarray, index: int, number: int) -> np.ndarray:
    """Share of right letters of a guess in each of many sequences that the law draws for one backbone."""
    drawn = law.sample(natives[index].environment, number, np.random.default_rng(100 + index))
    return (drawn == guess).mean(axis=1)


def test_the_expected_recovery_is_what_many_native_sequences_give(big, natives, best):
    shares, weights = [], []
    for i, native in enumerate(natives):
        guess = big.posterior(native.environment, np.full(len(native.tokens), -1)).argmax(axis=-1)
        shares.append(matches(big, natives, guess, i, 2000))
        weights.append(len(native.tokens))
    weights = np.array(weights) / sum(weights)
    mean = np.dot(weights, np.mean(shares, axis=1))
    error = np.sqrt(np.dot(weights**2, np.var(shares, axis=1) / 2000))
    assert error < 2e-3
    assert abs(best["recovery"] - mean) < 4 * error


def test_the_expected_recovery_of_samples_is_what_pairs_of_samples_give(big, natives, best):
    total = residues = 0.0
    for i, native in enumerate(natives):
        one, other = (big.sample(native.environment, 2000, np.random.default_rng(s + i)) for s in (200, 300))
        total += (one == other).mean(axis=0).sum()
        residues += len(native.tokens)
    assert abs(best["sampled_recovery"] - total / residues) < 3e-3


def test_no_way_of_guessing_expects_more_than_the_optimum(best):
    assert 1 / 20 < best["sampled_recovery"] < best["greedy_recovery"] < best["recovery"]


def test_the_expected_masked_perplexity_is_the_mean_over_native_sequences(big, natives):
    """With other native sequences for the same backbones, the two perplexities agree but for chance."""
    rng = np.random.default_rng(7)
    many = [
        Native(native.environment, tokens) for native in natives for tokens in big.sample(native.environment, 20, rng)
    ]
    made = optimum(big, many, TIMES, draws=1, rng=rng)
    for time in map(str, TIMES):
        assert made["perplexity"][time] == pytest.approx(made["expected_perplexity"][time], rel=0.05)
        assert made["native_masked_recovery"][time] == pytest.approx(made["masked_recovery"][time], abs=0.03)


def test_more_seen_neighbours_make_better_predictions(best):
    perplexity, recovery = ([best[key][str(t)] for t in TIMES] for key in ("expected_perplexity", "masked_recovery"))
    assert best["structure_perplexity"] > perplexity[0] > perplexity[1] > perplexity[2] > 1
    assert best["recovery"] < recovery[0] < recovery[1] < recovery[2] < 1


def test_at_time_zero_all_is_masked(big, natives, best):
    made = optimum(big, natives, [0.0], draws=1, rng=np.random.default_rng(0))
    assert made["masked_recovery"]["0.0"] == best["recovery"]
    assert made["expected_perplexity"]["0.0"] == best["structure_perplexity"]


def test_without_coupling_neighbours_say_nothing(natives):
    law = Law.declared(6, 20, sharpness=1.0, coupling=0.0, rng=np.random.default_rng(5))
    made = optimum(law, natives, [0.9], draws=8, rng=np.random.default_rng(0))
    weights = 1 / np.arange(1, 21)
    p = weights / weights.sum()
    assert made["recovery"] == made["greedy_recovery"] == made["masked_recovery"]["0.9"] == round(p[0], 6)
    assert made["structure_perplexity"] == pytest.approx(np.exp(-(p * np.log(p)).sum()), abs=1e-6)


def test_one_by_one_every_letter_is_the_likeliest_given_those_before(small, monkeypatch):
    environment, asked = np.array([0, 1, 1, 0, 1]), []
    posterior = Law.posterior
    monkeypatch.setattr(Law, "posterior", lambda law, e, seen: asked.append(seen.copy()) or posterior(law, e, seen))
    guessed = sequence_law._one_by_one(small, environment, 3, np.random.default_rng(0))
    assert [(seen >= 0).sum(axis=1).tolist() for seen in asked] == [[k] * 3 for k in range(5)]
    for before, after in itertools.pairwise([*asked, guessed]):
        likeliest = posterior(small, environment, before).argmax(axis=-1)
        new = before != after
        assert new.sum(axis=1).tolist() == [1, 1, 1]
        np.testing.assert_array_equal(after[new], likeliest[new])
