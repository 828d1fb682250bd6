"""Paths from noise to data, conversions between their quantities, and the laws that training times follow.

Source: SiT transport/path.py @947f95b (arXiv:2401.08740); REPA loss.py @67f7145, with t reversed (times).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Coefficient = Callable[[Tensor], Tensor]


def expand(t: Tensor, like: Tensor) -> Tensor:
    """Give per-sample values (b,) trailing axes of length one, to broadcast over `like` (b, ...)."""
    return t.reshape(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class Interpolant:
    """A path x_t = alpha(t) x_1 + sigma(t) x_0 from noise x_0 at t = 0 to data x_1 at t = 1.

    Attributes:
        name: key in `INTERPOLANTS`.
        alpha: weight of the data, 0 at t = 0 and 1 at t = 1.
        sigma: weight of the noise, 1 at t = 0 and 0 at t = 1.
        d_alpha: derivative of alpha in t.
        d_sigma: derivative of sigma in t.
    """

    name: str
    alpha: Coefficient
    sigma: Coefficient
    d_alpha: Coefficient
    d_sigma: Coefficient

    def interpolate(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
        """Point of the path at times t (b,) between noise and data of shape (b, ...)."""
        t = expand(t, x_1)
        return self.alpha(t) * x_1 + self.sigma(t) * x_0

    def velocity(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
        """Time derivative of the path at times t (b,): the regression target of the network."""
        t = expand(t, x_1)
        return self.d_alpha(t) * x_1 + self.d_sigma(t) * x_0


_QUARTER = math.pi / 2

LINEAR = Interpolant(
    name="linear",
    alpha=lambda t: t,
    sigma=lambda t: 1 - t,
    d_alpha=torch.ones_like,
    d_sigma=lambda t: -torch.ones_like(t),
)
# The "cosine" path of REPA and REED is this one seen from the other end of time.
GVP = Interpolant(
    name="gvp",
    alpha=lambda t: torch.sin(_QUARTER * t),
    sigma=lambda t: torch.cos(_QUARTER * t),
    d_alpha=lambda t: _QUARTER * torch.cos(_QUARTER * t),
    d_sigma=lambda t: -_QUARTER * torch.sin(_QUARTER * t),
)
INTERPOLANTS: dict[str, Interpolant] = {path.name: path for path in (LINEAR, GVP)}


def _determinant(path: Interpolant, t: Tensor) -> Tensor:
    """Determinant of the map (x_1, x_0) -> (x_t, v); constant and negative on both paths, never zero."""
    return path.alpha(t) * path.d_sigma(t) - path.d_alpha(t) * path.sigma(t)


def noise_from_velocity(path: Interpolant, v: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Expected noise x_0 given the velocity at x (b, ...) and t (b,); finite at both ends of time."""
    t = expand(t, x)
    return (path.alpha(t) * v - path.d_alpha(t) * x) / _determinant(path, t)


def data_from_velocity(path: Interpolant, v: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Expected data x_1 given the velocity at x (b, ...) and t (b,); finite at both ends of time."""
    t = expand(t, x)
    return (path.d_sigma(t) * x - path.sigma(t) * v) / _determinant(path, t)


def velocity_from_data(path: Interpolant, data: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Velocity given the expected data x_1 at x (b, ...) and t (b,); undefined at t = 1, where x holds no noise."""
    t = expand(t, x)
    return path.d_alpha(t) * data + path.d_sigma(t) / path.sigma(t) * (x - path.alpha(t) * data)


def score_from_velocity(path: Interpolant, v: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Score, the gradient of log p_t at x: -x_0 / sigma; infinite at t = 1, where the noise has vanished."""
    return -noise_from_velocity(path, v, x, t) / path.sigma(expand(t, x))


def velocity_from_score(path: Interpolant, score: Tensor, x: Tensor, t: Tensor) -> Tensor:
    """Velocity given the score at x (b, ...) and t (b,); undefined at t = 0, where x holds no data."""
    t = expand(t, x)
    return (path.d_alpha(t) * x - _determinant(path, t) * path.sigma(t) * score) / path.alpha(t)


def uniform_times(u: Tensor) -> Tensor:
    """Times that follow the uniform law: the uniform draws u themselves."""
    return u


# Time at which the noise-to-data ratio sigma / alpha equals exp(n).
_TIME_OF_LOG_RATIO: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda n: torch.sigmoid(-n),
    "gvp": lambda n: torch.atan(torch.exp(-n)) / _QUARTER,
}


def lognormal_times(n: Tensor, path: Interpolant) -> Tensor:
    """Times at which the noise-to-data ratio sigma / alpha is exp(n), for standard normal draws n."""
    return _TIME_OF_LOG_RATIO[path.name](n)


@dataclass(frozen=True)
class TimeSampler:
    """A law of training times: which random numbers it takes and how they become times.

    Attributes:
        draw: law of the numbers to feed it, U[0, 1) or N(0, 1).
        times: maps (draws, path) to times, elementwise.
    """

    draw: Literal["uniform", "normal"]
    times: Callable[[Tensor, Interpolant], Tensor]

    def __call__(self, draws: Tensor, path: Interpolant) -> Tensor:
        """Turn draws of law `draw` into times in [0, 1] on `path`."""
        return self.times(draws, path)


TIME_SAMPLERS: dict[str, TimeSampler] = {
    "uniform": TimeSampler("uniform", lambda draws, path: uniform_times(draws)),
    "lognormal": TimeSampler("normal", lognormal_times),
}
