"""Samplers of masking diffusion: their laws, what stays masked, laziness, and independence of the batch."""

import functools
import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from scipy import stats
from torch import Tensor

from reedbench.nn.residues import MASK, UNKNOWN, VOCABULARY
from reedbench.nn.unmasking_samplers import PURITY_DRAWS, Unmasked, ancestral, purity, race, unmasking_grid

DRAWS = {"ancestral": VOCABULARY, "purity": PURITY_DRAWS, "purity without noise": PURITY_DRAWS}
SAMPLERS = {"ancestral": ancestral, "purity": purity, "purity without noise": functools.partial(purity, noise=0.0)}
every_sampler = pytest.mark.parametrize("name", SAMPLERS)


class Uniforms:
    """Each chain's numbers from its own stream at its own length, padded."""

    def __init__(self, seeds: list[int], lengths: list[int], numbers: int) -> None:
        self.streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.lengths, self.numbers = lengths, numbers

    def __call__(self, i: int) -> Tensor:
        out = torch.zeros(len(self.lengths), max(self.lengths), self.numbers)
        for row, length, stream in zip(out, self.lengths, self.streams, strict=True):
            row[:length] = torch.rand(length, self.numbers, generator=stream)
        return out


class Toy:
    """A network that looks at a residue and its neighbours, exactly: whole numbers choose a row of a table."""

    def __init__(self) -> None:
        self.table = torch.randn(997, VOCABULARY, generator=torch.Generator().manual_seed(3)).log_softmax(-1)
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __call__(self, noisy: Tensor, rows: Tensor) -> Tensor:
        self.calls.append((noisy, rows))
        padded = torch.nn.functional.pad(noisy, (1, 1), value=MASK)
        places = torch.arange(noisy.shape[1])
        return self.table[(23 * noisy + 7 * padded[:, :-2] + 31 * padded[:, 2:] + 101 * places) % 997]


def constant(said: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda noisy, rows: said.expand(len(rows), -1, -1)


def sample(name: str, predict, lengths: list[int], seeds: list[int] | None = None, **settings) -> Unmasked:
    weight = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(weight, lengths, strict=True):
        row[:length] = 1
    draw = Uniforms(seeds or list(range(len(lengths))), lengths, DRAWS[name])
    return SAMPLERS[name](predict, weight, draw, **settings)


def states(name: str, predict, chains: int, length: int, **settings) -> Tensor:
    """(steps, chains, length): all states, from all masked to final; one stream draws for all chains."""
    seen, stream = [], torch.Generator().manual_seed(5)

    def recorded(noisy: Tensor, rows: Tensor) -> Tensor:
        seen.append(noisy)
        return predict(noisy, rows)

    def draw(i: int) -> Tensor:
        return torch.rand(chains, length, DRAWS[name], generator=stream)

    found = SAMPLERS[name](recorded, torch.ones(chains, length), draw, lazy=False, **settings)
    return torch.stack([*seen, found.tokens])


def log_probabilities(length: int, seed: int = 1) -> Tensor:
    return torch.randn(1, length, VOCABULARY, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)


def surprise(masked: Tensor, unmasked: Tensor, probability: float) -> float:
    """p-value of chi-square that `unmasked` follows Binomial(masked, probability); cells below 5 are joined."""
    statistic, freedom = 0.0, 0
    for count in masked.unique().tolist():
        observed = torch.bincount(unmasked[masked == count], minlength=count + 1).tolist()
        expected = (stats.binom(count, probability).pmf(range(count + 1)) * sum(observed)).tolist()
        cells: list[list[float]] = [[0.0, 0.0]]
        for o, e in zip(observed, expected, strict=True):
            if cells[-1][1] >= 5:
                cells.append([0.0, 0.0])
            cells[-1] = [cells[-1][0] + o, cells[-1][1] + e]
        if cells[-1][1] < 5 and len(cells) > 1:
            o, e = cells.pop()
            cells[-1] = [cells[-1][0] + o, cells[-1][1] + e]
        statistic += sum((o - e) ** 2 / e for o, e in cells)
        freedom += len(cells) - 1
    return float(stats.chi2(freedom).sf(statistic))


def test_the_grid_has_as_many_times_as_steps_and_ends_at_one():
    assert unmasking_grid(6) == pytest.approx([0.01, 0.208, 0.406, 0.604, 0.802, 1.0])
    assert unmasking_grid(2, 0.5) == [0.5, 1.0]


def test_a_race_is_won_in_proportion_to_the_weights():
    weights = torch.tensor([4.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    u = torch.rand(20_000, 4, generator=torch.Generator().manual_seed(0))
    won = torch.bincount(race(weights, u).argmax(-1), minlength=4)
    assert won[1] == 0
    assert stats.chisquare(won[[0, 2, 3]], [10_000, 2_500, 7_500]).pvalue > 0.001


def test_a_race_bears_the_ends_of_the_interval():
    scores = race(torch.ones(3, dtype=torch.float64), torch.tensor([0.0, 0.5, 1 - 2**-24]))
    expected = [-1 / math.log(1e-10), 1 / math.log(2), 2.0**24]
    assert scores.tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["ancestral", "purity without noise"])
def test_the_number_that_is_unmasked_in_a_step_is_binomial(name):
    way, grid = states(name, constant(log_probabilities(12)), 2000, 12, steps=6), unmasking_grid(6)
    masked = (way == MASK).sum(-1)
    for (before, later), (now, after) in zip(pairwise(masked[:-1]), pairwise(grid[:-1]), strict=True):
        assert surprise(before, before - later, (after - now) / (1 - now)) > 0.001
    assert surprise(masked[1], masked[1] - masked[2], grid[2] - grid[1]) < 1e-6


@pytest.mark.parametrize("name", ["ancestral", "purity without noise"])
def test_tokens_that_are_unmasked_never_change(name):
    way = states(name, Toy(), 20, 15, steps=30)
    for before, later in pairwise(way):
        assert torch.equal(later[before != MASK], before[before != MASK])
    assert (way[0] == MASK).all()
    assert (way[-1] != MASK).all()


def test_with_noise_residues_are_masked_again_at_its_rate_but_never_in_the_last_step():
    noise, steps = 2.0, 11
    way = states("purity", constant(log_probabilities(20)), 500, 20, steps=steps, noise=noise)
    step = 0.99 / (steps - 1)
    for before, later in pairwise(way[:-1]):
        shown = before != MASK
        again = (shown & (later == MASK)).sum().item()
        mean = shown.sum().item() * noise * step
        assert abs(again - mean) <= 4 * math.sqrt(mean)
    assert (way[5] != MASK).any()
    assert (way[-1] != MASK).all()


def test_noise_speeds_up_unmasking_as_its_rate_says():
    noise, grid = 3.0, unmasking_grid(6, 0.2)
    way = states("purity", constant(log_probabilities(12)), 2000, 12, steps=6, least=0.2, noise=noise)
    step = grid[1] - grid[0]
    unmasked = step * (1 + noise * 0.2) / 0.8
    shown = (way[1] != MASK).sum(-1)
    assert surprise(torch.full_like(shown, 12), shown, unmasked * (1 - noise * step)) > 0.001


def test_noise_of_any_size_ends_unmasked():
    found = sample("purity", Toy(), [9, 4], steps=7, noise=1000.0)
    assert (found.tokens[0] != MASK).all()
    assert (found.tokens[1, :4] != MASK).all()


@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
def test_purity_unmasks_the_surest_first(temperature):
    said = log_probabilities(12)
    said[0, 3, 5], said[0, 8, 6] = 20.0, 30.0  # so sure that max log p is rounded to 0 at both
    settings = {"steps": 40, "temperature": temperature}
    way = states("purity without noise", constant(said), 50, 12, **settings)
    scores = said[0, :, :UNKNOWN].double() / temperature
    best = scores.max(-1)
    others = scores.scatter(-1, best.indices[:, None], -torch.inf)
    order = (best.values - others.logsumexp(-1)).argsort(descending=True)
    assert order[:2].tolist() == [8, 3]
    shown = (way != MASK)[:, :, order].int()
    assert (shown.diff(dim=-1) <= 0).all()
    assert 0 < shown[20].sum(-1).double().mean() < 12


@every_sampler
def test_when_cold_the_final_state_is_the_argmax(name):
    found = sample(name, constant(log_probabilities(12)), [12] * 4, steps=6, temperature=1e-4)
    assert torch.equal(found.tokens, found.argmax)


@every_sampler
def test_when_warm_tokens_follow_the_prediction(name):
    said = torch.full((1, 1, VOCABULARY), -torch.inf)
    said[..., [2, 7, 11]] = torch.tensor([0.5, 0.3, 0.2]).log()
    tokens = states(name, constant(said), 4000, 1, steps=5, temperature=1.0)[-1, :, 0]
    counts = torch.bincount(tokens, minlength=VOCABULARY)
    assert counts[[2, 7, 11]].sum() == 4000
    assert stats.chisquare(counts[[2, 7, 11]], [2000, 1200, 800]).pvalue > 0.001


@every_sampler
@pytest.mark.parametrize("steps", [2, 5, 60])
def test_lazy_sampling_finds_the_same(name, steps):
    lengths = [5, 12, 9, 12]
    naive, lazy = (sample(name, Toy(), lengths, steps=steps, lazy=lazy) for lazy in (False, True))
    assert torch.equal(lazy.tokens, naive.tokens)
    assert torch.equal(lazy.argmax, naive.argmax)
    assert (naive.evaluations == steps - 1).all()
    assert (lazy.evaluations <= naive.evaluations).all()


@every_sampler
def test_lazy_sampling_evaluates_only_chains_that_changed(name):
    toy = Toy()
    found = sample(name, toy, [6, 10, 3], steps=200)
    inputs: list[list[list[int]]] = [[], [], []]
    for noisy, rows in toy.calls:
        assert len(rows) == len(noisy) > 0
        for row, tokens in zip(rows.tolist(), noisy.tolist(), strict=True):
            inputs[row].append(tokens)
    assert found.evaluations.tolist() == [len(chain) for chain in inputs]
    for chain in inputs:
        assert all(one != other for one, other in pairwise(chain))
    if name != "purity":
        assert (found.evaluations <= torch.tensor([6, 10, 3]) + 1).all()


def test_the_number_of_lazy_evaluations_is_as_expected():
    found = sample("ancestral", constant(log_probabilities(100)), [100] * 60, steps=500)
    # The first, and one after each of 498 steps in which at least one of 100 residues was unmasked.
    expected = 1 + 498 * (1 - (498 / 499) ** 100)
    assert found.evaluations.double().mean().item() == pytest.approx(expected, abs=2)
    assert expected == pytest.approx(499 * (1 - math.exp(-100 / 499)), abs=1)


def test_a_chain_that_is_done_early_is_evaluated_after_its_last_change():
    toy, drawn, uniforms = Toy(), [], Uniforms([0], [2], VOCABULARY)

    def draw(i: int) -> Tensor:
        drawn.append(i)
        return uniforms(i)

    found = ancestral(toy, torch.ones(1, 2), draw, steps=400)
    assert drawn == list(range(len(drawn)))
    assert len(drawn) < 399
    last, _ = toy.calls[-1]
    assert torch.equal(last, found.tokens)
    said = Toy()(found.tokens, torch.tensor([0]))[..., :UNKNOWN]
    assert torch.equal(found.argmax, said.argmax(-1))


@every_sampler
def test_a_sample_does_not_depend_on_its_batch_or_on_padding(name):
    lengths, seeds = [5, 12, 9, 1], [50, 51, 52, 53]
    together = sample(name, Toy(), lengths, seeds, steps=40)
    for row, (length, seed) in enumerate(zip(lengths, seeds, strict=True)):
        alone = sample(name, Toy(), [length], [seed], steps=40)
        assert torch.equal(alone.tokens[0], together.tokens[row, :length])
        assert torch.equal(alone.argmax[0], together.argmax[row, :length])
        assert alone.evaluations[0] == together.evaluations[row]


@every_sampler
@pytest.mark.parametrize("lazy", [True, False])
def test_positions_without_weight_stay_masked(name, lazy):
    weight = torch.tensor([[1.0, 0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    toy = Toy()
    draw = Uniforms([0, 1], [5, 5], DRAWS[name])
    found = SAMPLERS[name](toy, weight, draw, steps=50, lazy=lazy)
    for tokens in (found.tokens, found.argmax):
        assert torch.equal(tokens == MASK, weight == 0)
    for noisy, rows in toy.calls:
        assert (noisy[weight[rows] == 0] == MASK).all()
    assert found.evaluations[1] == (1 if lazy else 49)


@every_sampler
def test_the_unknown_residue_is_drawn_only_if_allowed(name):
    said = log_probabilities(8)
    said[..., UNKNOWN], said[..., MASK] = 3.0, 5.0
    forbidden = sample(name, constant(said), [8] * 3, steps=20)
    allowed = sample(name, constant(said), [8] * 3, steps=20, allow_unknown=True)
    for tokens in (forbidden.tokens, forbidden.argmax):
        assert (tokens < UNKNOWN).all()
    for tokens in (allowed.tokens, allowed.argmax):
        assert (tokens == UNKNOWN).any()
        assert (tokens != MASK).all()


def test_predictions_are_left_as_they_were():
    said = log_probabilities(6).expand(2, -1, -1).clone()
    before = said.clone()
    sample("ancestral", lambda noisy, rows: said, [6, 6], steps=5, lazy=False)
    assert torch.equal(said, before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1}, "at least two times, got 1"),
        ({"steps": 5, "least": 1.0}, "less than 1, got 1.0"),
        ({"steps": 5, "temperature": 0.0}, "above 0, got 0.0"),
        ({"steps": 5, "noise": -1.0}, "at least 0, got -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        sample("purity", Toy(), [4], **settings)
