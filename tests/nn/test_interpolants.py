"""Interpolants: end points, derivatives, and round trips between velocity, score, noise and data."""

import pytest
import torch
from torch import Tensor

from reedbench.nn.interpolants import (
    INTERPOLANTS,
    TIME_SAMPLERS,
    data_from_velocity,
    expand,
    lognormal_times,
    noise_from_velocity,
    score_from_velocity,
    uniform_times,
    velocity_from_score,
)

PATHS = pytest.mark.parametrize("path", INTERPOLANTS.values(), ids=INTERPOLANTS)
T = torch.tensor([0.05, 0.3, 0.5, 0.96], dtype=torch.float64)


def noise_and_data() -> tuple[Tensor, Tensor]:
    both = torch.randn(2, 4, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return both[0], both[1]


def test_expand_appends_axes_of_length_one():
    assert expand(T, torch.zeros(4, 3, 2)).shape == (4, 1, 1)
    assert expand(T, torch.zeros(4)).shape == (4,)


@PATHS
def test_time_0_is_noise_and_time_1_is_data(path):
    x_0, x_1 = noise_and_data()
    torch.testing.assert_close(path.interpolate(x_0, x_1, torch.zeros(4).double()), x_0)
    torch.testing.assert_close(path.interpolate(x_0, x_1, torch.ones(4).double()), x_1)


@PATHS
def test_the_velocity_is_the_time_derivative(path):
    x_0, x_1 = noise_and_data()
    h = 1e-6
    slope = (path.interpolate(x_0, x_1, T + h) - path.interpolate(x_0, x_1, T - h)) / (2 * h)
    torch.testing.assert_close(path.velocity(x_0, x_1, T), slope, rtol=1e-8, atol=1e-8)


@PATHS
def test_noise_and_data_are_recovered_from_the_velocity_at_any_time(path):
    x_0, x_1 = noise_and_data()
    for t in (torch.zeros_like(T), T, torch.ones_like(T)):
        x, v = path.interpolate(x_0, x_1, t), path.velocity(x_0, x_1, t)
        torch.testing.assert_close(noise_from_velocity(path, v, x, t), x_0)
        torch.testing.assert_close(data_from_velocity(path, v, x, t), x_1)


@PATHS
def test_velocity_and_score_are_inverse_to_each_other(path):
    x, v = noise_and_data()
    score = score_from_velocity(path, v, x, T)
    torch.testing.assert_close(velocity_from_score(path, score, x, T), v)


@PATHS
def test_the_score_is_minus_noise_over_sigma(path):
    x_0, x_1 = noise_and_data()
    x, v = path.interpolate(x_0, x_1, T), path.velocity(x_0, x_1, T)
    torch.testing.assert_close(score_from_velocity(path, v, x, T), -x_0 / path.sigma(expand(T, x)))


@PATHS
def test_lognormal_times_have_the_drawn_ratio_of_noise_to_data(path):
    n = torch.linspace(-3, 3, 7, dtype=torch.float64)
    t = lognormal_times(n, path)
    torch.testing.assert_close(path.sigma(t) / path.alpha(t), n.exp())


@PATHS
def test_every_time_sampler_turns_its_draws_into_times(path):
    generator = torch.Generator().manual_seed(0)
    draws = {
        "uniform": torch.rand(1000, generator=generator),
        "normal": torch.randn(1000, generator=generator),
    }
    for name, sampler in TIME_SAMPLERS.items():
        t = sampler(draws[sampler.draw], path)
        assert 0 <= t.min() < 0.2, name
        assert 0.8 < t.max() <= 1, name


def test_uniform_times_are_the_draws():
    u = torch.rand(8)
    assert uniform_times(u) is u
