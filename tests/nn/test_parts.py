"""Parts of joint states: priors, what is kept at time t, chances of steps, draws that padding leaves alone."""

from itertools import pairwise

import pytest
import torch
from toy_molecules import streams

from reedbench.core import seeds
from reedbench.nn.interpolants import GVP, LINEAR, velocity_from_data
from reedbench.nn.molecule_state import pairs
from reedbench.nn.parts import NOTHING, Continuous, Dirichlet, Entries, Masked, Uniform, centred, cross_entropy, drawn
from reedbench.nn.samplers import euler, jointly, ode_grid

MANY, K = 20_000, 5
TIMES = (0.0, 0.3, 0.8, 1.0)
KINDS = {"uniform": Uniform(K), "masked": Masked(K, mask=K - 1), "dirichlet": Dirichlet(K)}
every_kind = pytest.mark.parametrize("part", KINDS.values(), ids=KINDS)


def row(n: int = MANY, length: int | None = None) -> torch.Tensor:
    """The mask of one row."""
    return (torch.arange(length or n) < n).float()[None]


def numbers(mask: torch.Tensor, name: str = "x", axes: int = 1) -> Entries:
    return Entries(seeds.rows(range(len(mask)), name), mask, axes)


def shares(classes: torch.Tensor, k: int = K) -> torch.Tensor:
    return torch.bincount(classes.flatten(), minlength=k).double() / classes.numel()


# Choosing


def test_classes_are_drawn_in_proportion_to_their_weights():
    weights = torch.tensor([0.5, 0.0, 2.0, 1.5, 0.0], dtype=torch.float64)
    found = drawn(weights.expand(MANY, K), torch.rand(MANY, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(shares(found), weights / weights.sum(), atol=0.01, rtol=0)


@pytest.mark.parametrize("u", [0.0, 1 - 2.0**-24])
def test_a_class_without_weight_is_never_drawn(u):
    weights = torch.tensor([[0.0, 1e-3, 0.1, 7.0, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    found = drawn(weights, torch.full((2,), u))
    assert (weights.gather(1, found[:, None]) > 0).all()


# Priors and mixtures


def test_a_uniform_prior_has_every_class_equally_often():
    prior = KINDS["uniform"].prior(numbers(row()), row())
    torch.testing.assert_close(shares(prior), torch.full((K,), 1 / K, dtype=torch.float64), atol=0.01, rtol=0)


@pytest.mark.parametrize("t", TIMES)
def test_a_class_of_the_data_is_kept_with_probability_t(t):
    data = torch.full((1, MANY), 2)
    for name, others in (("uniform", 1 / K), ("masked", 0.0)):
        part, mask = KINDS[name], row()
        x_0 = part.prior(numbers(mask), mask)
        found = part.noised(x_0, data, torch.tensor([t]), numbers(mask, "other"), mask)
        assert (found == 2).double().mean().item() == pytest.approx(t + (1 - t) * others, abs=0.015)
        assert ((found == 2) | (found == x_0)).all()


@pytest.mark.parametrize("t", TIMES)
def test_a_dirichlet_mixture_has_the_mean_of_its_weights(t):
    part, mask, data = Dirichlet(K, temperature=0.5), row(), torch.full((1, MANY), 2)
    found = part.noised(part.prior(numbers(mask), mask), data, torch.tensor([t]), numbers(mask), mask)
    wanted = (1 - t) / K + t * torch.softmax(torch.eye(K)[2] / 0.5, -1)
    torch.testing.assert_close(found.sum(-1), torch.ones(1, MANY), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.mean((0, 1)), wanted, atol=0.015, rtol=0)


def test_data_of_class_0_are_shown_as_nothing_where_they_are_bare_and_kept():
    mask, data = row(), torch.zeros(1, MANY, dtype=torch.int64)
    part = Uniform(K, bare=True)
    x_0 = part.prior(numbers(mask), mask)
    found = part.noised(x_0, data, torch.tensor([0.5]), numbers(mask, "other"), mask)
    assert (found == NOTHING).double().mean().item() == pytest.approx(0.5, abs=0.02)
    assert (part.seen(found).sum(-1) == (found != NOTHING)).all()
    assert (found == 0).double().mean().item() == pytest.approx(0.5 / K, abs=0.02)  # of the prior


def test_the_extra_noise_of_a_continuous_part_is_there_at_all_times():
    part, x = Continuous(predicts="data", noise=0.2), torch.randn(2, 1, 4, 3)
    more = torch.randn(1, 4, 3)
    torch.testing.assert_close(part.noised(*x, torch.ones(1), more), x[1] + 0.2 * more)
    torch.testing.assert_close(part.noised(*x, torch.zeros(1), more), x[0] + 0.2 * more)
    assert torch.equal(part.target(*x, torch.ones(1)), x[1])


# Padding and symmetry


@every_kind
@pytest.mark.parametrize("axes", [1, 2])
def test_padding_changes_no_draw_and_holds_nothing(part, axes):
    def states(length: int):
        mask = torch.cat([row(3, length), row(5, length)])
        there = mask if axes == 1 else pairs(mask)
        data = torch.ones_like(there, dtype=torch.int64)
        rows = Entries(seeds.rows(range(2), "a"), mask, axes)
        x_0 = part.prior(rows, there)
        x = part.noised(x_0, data, torch.tensor([0.4, 0.6]), rows, there)
        p = torch.softmax(torch.arange(K).float(), -1).expand(*there.shape, K)
        return there, (x_0, x, part.step(x, p, 0.4, 0.5, noise=1.0, numbers=rows, there=there))

    (near_there, near), (far_there, far) = states(5), states(9)
    for one, other in zip(near, far, strict=True):
        assert torch.equal(one[near_there > 0], other[far_there > 0])
        assert not part.seen(other)[far_there == 0].any()


@pytest.mark.parametrize("kind", [Uniform, Masked, Dirichlet])
@pytest.mark.parametrize("symmetric", [False, True])
def test_pairs_are_symmetric_where_they_are_to_be(kind, symmetric):
    part, mask = kind(K, symmetric=symmetric), row(6, 8)
    there, rows = pairs(mask), numbers(mask, axes=2)
    x_0 = part.prior(rows, there)
    x = part.noised(x_0, torch.ones_like(there, dtype=torch.int64), torch.tensor([0.5]), rows, there)
    p = torch.full((*there.shape, K), 1 / K)
    after = part.step(x, p, 0.5, 0.7, noise=1.0, numbers=rows, there=there)
    assert all(torch.equal(x, x.transpose(1, 2)) == symmetric for x in (x, after))


# Steps


def test_odds_of_uniform_steps_add_up_to_one_where_none_is_cut():
    p = torch.softmax(torch.randn(3, 7, K, generator=torch.Generator().manual_seed(0)), -1)
    x = torch.arange(21).view(3, 7) % K
    for noise in (0.0, 1.0):
        odds = KINDS["uniform"].odds(x, p, 0.3, 0.31, noise)
        torch.testing.assert_close(odds.sum(-1), torch.ones(3, 7, dtype=torch.float64))
        assert (odds >= 0).all()


def test_uniform_steps_end_at_the_prediction():
    """From noise to t = 1 classes follow a law that the network holds to be that of the data at all times."""
    part, mask = KINDS["uniform"], row()
    p = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]).expand(1, MANY, K)
    for noise in (0.0, 1.0):
        rows, x, grid = numbers(mask), part.prior(numbers(mask, "prior"), mask), ode_grid(25)
        for now, after in pairwise(grid):
            x = part.step(x, p, now, after, noise=noise, numbers=rows, there=mask)
        torch.testing.assert_close(shares(x), p[0, 0].double(), atol=0.015, rtol=0)


@pytest.mark.parametrize(("noise", "after"), [(0.0, 0.6), (2.0, 0.6), (2.0, 1.0)])
def test_masked_steps_show_and_hide_at_their_rates(noise, after):
    part, mask = KINDS["masked"], row()
    hidden = torch.arange(MANY)[None] % 2 == 0
    x, p = torch.where(hidden, part.mask, 1), torch.eye(K)[2].expand(1, MANY, K)
    found = part.step(x, p, 0.5, after, noise=noise, numbers=numbers(mask), there=mask)
    shown = (found[hidden] == 2).double().mean().item()
    assert shown == pytest.approx(min(1, (after - 0.5) * (1 + 0.5 * noise) / 0.5), abs=0.02)
    again = (found[~hidden] == part.mask).double().mean().item()
    assert again == pytest.approx(0 if after == 1 else 0.1 * noise, abs=0.02)
    assert (found[~hidden][found[~hidden] != part.mask] == 1).all()


def test_dirichlet_steps_add_a_draw_around_the_prediction():
    part, mask = KINDS["dirichlet"], row()
    p = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.0]).expand(1, MANY, K)
    found = part.step(part.prior(numbers(mask), mask), p, 0.5, 0.7, noise=1.0, numbers=numbers(mask), there=mask)
    torch.testing.assert_close(found.sum(-1), torch.full((1, MANY), 1.2), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.mean((0, 1)), 1 / K + 0.2 * p[0, 0], atol=0.005, rtol=0)


@pytest.mark.parametrize("path", [LINEAR, GVP])
def test_velocity_from_data_is_that_of_the_path(path):
    x_0, x_1, t = torch.randn(2, 3), torch.randn(2, 3), torch.tensor([0.0, 0.7])
    found = velocity_from_data(path, x_1, path.interpolate(x_0, x_1, t), t)
    torch.testing.assert_close(found, path.velocity(x_0, x_1, t))


def test_a_continuous_part_that_predicts_data_moves_by_the_rule_of_the_reference():
    x, data = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    found = Continuous(predicts="data").step(x, data, 0.3, 0.45)
    torch.testing.assert_close(found, x + 0.15 * (data - x) / 0.7)


def test_an_image_is_the_state_with_one_part_that_predicts_its_velocity():
    """The same bytes as the plain loop of Euler's method."""
    x_0 = torch.randn(2, 1, 4, 4)

    def velocity(x, t, at):
        return torch.sin(3 * x) * t[:, None, None, None] + at

    x, grid = x_0.double(), ode_grid(7)
    for now, after in pairwise(grid):
        x = x + (after - now) * velocity(x.float(), torch.full((2,), now), now).double()
    assert torch.equal(euler(velocity, x_0, 7), x.float())


def test_parts_move_together_each_by_its_own_rule():
    state = jointly(
        lambda state, now: {"a": state["b"], "b": state["a"]},
        {"a": torch.ones(1), "b": torch.zeros(1)},
        {"a": lambda x, v, now, after: x + v, "b": lambda x, v, now, after: v},
        [0, 1, 2],
    )
    assert {name: x.item() for name, x in state.items()} == {"a": 2.0, "b": 1.0}


# Losses


def test_cross_entropy_is_a_mean_over_what_counts_with_the_denominator_of_the_reference():
    logits, classes = torch.randn(2, 3, K), torch.tensor([[0, 1, 2], [3, 4, 0]])
    counted = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    found = cross_entropy(logits, classes, counted)
    each = torch.nn.functional.cross_entropy(logits[0, :2], classes[0, :2], reduction="sum")
    torch.testing.assert_close(found, torch.stack([each / 2.001, torch.tensor(0.0)]))
    assert cross_entropy(logits.bfloat16(), classes, counted).dtype == torch.float32


def test_places_are_centred_at_what_is_there():
    mask = torch.cat([row(2, 4), row(4, 4)])
    x = centred(torch.randn(2, 4, 3), mask)
    assert x.sum(1).abs().max() < 1e-6
    assert not x[0, 2:].any()


def test_named_streams_of_rows_do_not_depend_on_other_rows():
    mask = torch.cat([row(2, 4), row(4, 4), row(3, 4)])
    whole, alone = (Entries(streams(rows)("z"), mask[list(rows)], 2).uniform(2) for rows in ((0, 1, 2), (1,)))
    assert torch.equal(whole[1:2], alone)
