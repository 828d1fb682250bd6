"""Samplers: exact cases, order of convergence, variance of the SDE, precision and cost."""

import functools
import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from reedbench.nn.guidance import evaluations
from reedbench.nn.interpolants import GVP, INTERPOLANTS, LINEAR, Interpolant, expand
from reedbench.nn.samplers import (
    Diffusion,
    Last,
    decision_times,
    euler,
    euler_maruyama,
    heun,
    ode_grid,
    sde_grid,
)

SAMPLERS = {"euler": euler, "heun": heun, "euler-maruyama": euler_maruyama}


def linear_ode(x: Tensor, t: Tensor, at: float) -> Tensor:
    """x' = x cos(3 t), whose solution at t = 1 is x_0 exp(sin(3) / 3)."""
    return x * torch.cos(3 * expand(t, x))


def sample(name: str, velocity, x_0: Tensor, steps: int) -> Tensor:
    if name != "euler-maruyama":
        return SAMPLERS[name](velocity, x_0, steps)
    silence = torch.zeros(x_0.shape, dtype=torch.float64)
    return euler_maruyama(velocity, x_0, steps, path=LINEAR, noise=lambda i: silence)


def ode_error(sampler, steps: int) -> float:
    x_0 = torch.ones(1, 1, dtype=torch.float64)
    return abs(sampler(linear_ode, x_0, steps).item() - math.exp(math.sin(3) / 3))


def test_euler_converges_with_order_one():
    assert ode_error(euler, 80) / ode_error(euler, 160) == pytest.approx(2, rel=0.05)


def test_heun_converges_with_order_two():
    assert ode_error(heun, 80) / ode_error(heun, 160) == pytest.approx(4, rel=0.05)


def test_heun_on_a_constant_field_is_euler():
    x_0, slope = torch.randn(2, 3), torch.randn(2, 3)
    torch.testing.assert_close(heun(lambda x, t, at: slope, x_0, 7), euler(lambda x, t, at: slope, x_0, 7))


def test_euler_reaches_the_data_in_one_step_on_the_straight_path():
    x_0, x_1 = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    torch.testing.assert_close(euler(lambda x, t, at: LINEAR.velocity(x_0, x_1, t), x_0, 1), x_1)


def gaussian_velocity(path: Interpolant, std: float):
    """Exact velocity E[x'_t | x_t] for data N(0, std^2)."""

    def velocity(x: Tensor, t: Tensor, at: float) -> Tensor:
        t = expand(t, x)
        alpha, sigma, d_alpha, d_sigma = path.alpha(t), path.sigma(t), path.d_alpha(t), path.d_sigma(t)
        covariance = d_alpha * alpha * std**2 + d_sigma * sigma
        return covariance / (alpha**2 * std**2 + sigma**2) * x

    return velocity


def spread_of_sde(path: Interpolant, std: float, rows: int, steps: int, **settings) -> Tensor:
    """Samples under the exact velocity of Gaussian data."""
    generator = torch.Generator().manual_seed(0)
    return euler_maruyama(
        gaussian_velocity(path, std),
        torch.randn(rows, 1, generator=generator, dtype=torch.float64),
        steps,
        path=path,
        noise=lambda i: torch.randn(rows, 1, generator=generator, dtype=torch.float64),
        **settings,
    )


@pytest.mark.parametrize(
    ("form", "corrected"), [*((form, False) for form in get_args(Diffusion)), ("sigma", True), ("constant", True)]
)
def test_every_diffusion_reproduces_the_variance_of_gaussian_data(form, corrected):
    x = spread_of_sde(GVP, 2.0, 8_000, 150, diffusion=form, corrected=corrected, last_step=0.004)
    assert x.std().item() == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize("last", get_args(Last))
def test_every_last_step_reproduces_the_variance_of_gaussian_data(last):
    settings = {} if last == "none" else {"last_step": 0.004}
    x = spread_of_sde(LINEAR, 0.5, 8_000, 150, last=last, scale=0.5, **settings)
    assert x.std().item() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(
    ("settings", "evaluations_made", "noises"),
    [({}, 5, 4), ({"last": "none"}, 5, 5), ({"corrected": True}, 9, 4), ({"last": "tweedie"}, 5, 4)],
)
def test_evaluations_and_noise_of_the_sde_are_as_stated(settings, evaluations_made, noises):
    made, drawn = [], []

    def velocity(x: Tensor, t: Tensor, at: float) -> Tensor:
        made.append(at)
        return -x

    def noise(i: int) -> Tensor:
        drawn.append(i)
        return torch.zeros(2, 3, dtype=torch.float64)

    euler_maruyama(velocity, torch.randn(2, 3), 5, path=LINEAR, noise=noise, **settings)
    assert made == decision_times("euler-maruyama", 5, **settings)
    assert (len(made), drawn) == (evaluations_made, list(range(noises)))


def test_a_corrector_without_a_last_step_is_refused():
    with pytest.raises(ValueError, match="score at t = 1 is infinite"):
        spread_of_sde(LINEAR, 1.0, 2, 3, last="none", corrected=True)


def test_heun_that_corrects_the_last_step_has_order_two_and_one_more_evaluation():
    corrected = functools.partial(heun, last="heun")
    assert ode_error(corrected, 160) / ode_error(corrected, 320) == pytest.approx(4, rel=0.05)
    assert evaluations("heun", 12, last="heun") == evaluations("heun", 12) + 1 == 24


@pytest.mark.parametrize("path", INTERPOLANTS.values(), ids=INTERPOLANTS)
@pytest.mark.parametrize("std", [0.5, 2.0])
def test_the_sde_reproduces_the_variance_of_gaussian_data(path, std):
    x = spread_of_sde(path, std, 50_000, 400, last_step=0.001)
    assert x.std().item() == pytest.approx(std, rel=0.02)
    assert abs(x.mean().item()) < 0.02 * std


def test_without_noise_the_variance_of_the_sde_is_wrong():
    x_0 = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert sample("euler-maruyama", gaussian_velocity(LINEAR, 1.0), x_0, 100).std() < 0.5


def test_the_last_step_of_the_sde_draws_no_noise():
    drawn = []

    def noise(i: int) -> Tensor:
        drawn.append(i)
        return torch.zeros(2, 3, dtype=torch.float64)

    euler_maruyama(lambda x, t, at: -x, torch.randn(2, 3), 5, path=GVP, noise=noise)
    assert drawn == [0, 1, 2, 3]


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_network_sees_its_own_dtype_and_the_result_has_it(name):
    seen = []

    def velocity(x: Tensor, t: Tensor, at: float) -> Tensor:
        seen.append((x.dtype, t.dtype, tuple(t.shape), type(at)))
        return torch.zeros_like(x)

    x = sample(name, velocity, torch.randn(2, 3), 4)
    assert set(seen) == {(torch.float32, torch.float32, (2,), float)}
    assert x.dtype == torch.float32


def test_the_state_is_kept_in_float64():
    steps = 3000
    x = euler(lambda x, t, at: torch.ones_like(x), torch.full((1, 1), 1000.0), steps)
    assert x.item() == 1001.0


@pytest.mark.parametrize(("name", "expected"), [("euler", 12), ("heun", 23), ("euler-maruyama", 12)])
def test_the_number_of_evaluations_is_as_stated(name, expected):
    calls = []

    def velocity(x: Tensor, t: Tensor, at: float) -> Tensor:
        calls.append(at)
        return torch.zeros_like(x)

    sample(name, velocity, torch.randn(1, 2), 12)
    assert len(calls) == evaluations(name, 12) == expected


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_does_not_depend_on_its_batch(name):
    x_0 = torch.randn(4, 3, dtype=torch.float64)
    together = sample(name, linear_ode, x_0, 6)
    alone = sample(name, linear_ode, x_0[2:3], 6)
    torch.testing.assert_close(together[2:3], alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_zero_steps_are_refused(name):
    with pytest.raises(ValueError, match="at least one step"):
        sample(name, linear_ode, torch.randn(1, 2), 0)


def test_grids_run_from_noise_to_data():
    assert ode_grid(4) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert sde_grid(3, last_step=0.04) == pytest.approx([0.0, 0.48, 0.96, 1.0])
    assert sde_grid(1) == [0.0, 1.0]
