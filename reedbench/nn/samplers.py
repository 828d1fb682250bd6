"""Samplers from noise at t = 0 to data at t = 1: Euler and Heun for the ODE, Euler-Maruyama for the SDE.

Source: REPA samplers.py @67f7145, with t reversed; SiT transport/transport.py:286 @947f95b (last SDE step).
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from reedbench.core.constants import SDE_LAST_STEP
from reedbench.nn.interpolants import Interpolant, score_from_velocity


class Velocity(Protocol):
    """The field that a sampler follows, conditioning and guidance included."""

    def __call__(self, x: Tensor, t: Tensor, at: float) -> Tensor:
        """Velocity at x (b, ...) and times t (b,), both in the dtype of the network.

        `at` is the time at which the current step started. It differs from t only in the corrector of Heun,
        and is what guidance decides by: one decision holds for a whole step.
        """
        ...


def ode_grid(steps: int) -> list[float]:
    """The `steps + 1` equidistant times of the ODE samplers."""
    if steps < 1:
        raise ValueError(f"a sampler needs at least one step, got {steps}")
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64).tolist()


def sde_grid(steps: int, last_step: float = SDE_LAST_STEP) -> list[float]:
    """The `steps + 1` times of the SDE sampler: equidistant up to `1 - last_step`, then 1."""
    if steps < 1:
        raise ValueError(f"a sampler needs at least one step, got {steps}")
    return [*torch.linspace(0, 1 - last_step, steps, dtype=torch.float64).tolist(), 1.0]


class _Field:
    """A velocity that takes and returns the float64 state, while the network sees the dtype of x_0."""

    def __init__(self, velocity: Velocity, x_0: Tensor) -> None:
        self.velocity, self.dtype = velocity, x_0.dtype

    def __call__(self, x: Tensor, t: float, at: float) -> Tensor:
        times = torch.full((len(x),), t, dtype=self.dtype, device=x.device)
        return self.velocity(x.to(self.dtype), times, at=at).double()


@torch.no_grad()
def euler(velocity: Velocity, x_0: Tensor, steps: int) -> Tensor:
    """Follow the ODE with the explicit Euler method; NFE = steps.

    Args:
        velocity: the field, called as velocity(x, t, at=start of the step).
        x_0: standard normal noise (b, ...); the state is kept in float64.
        steps: number of equal steps.

    Returns:
        Samples of the shape and dtype of x_0.
    """
    field, x, grid = _Field(velocity, x_0), x_0.double(), ode_grid(steps)
    for now, after in pairwise(grid):
        x = x + (after - now) * field(x, now, at=now)
    return x.to(x_0.dtype)


@torch.no_grad()
def heun(velocity: Velocity, x_0: Tensor, steps: int) -> Tensor:
    """Follow the ODE with Heun's method, whose last step is a plain Euler step; NFE = 2 steps - 1.

    Arguments and result as in `euler`. Both evaluations of a step get the same `at`.
    """
    field, x, grid = _Field(velocity, x_0), x_0.double(), ode_grid(steps)
    for now, after in pairwise(grid):
        slope = field(x, now, at=now)
        if after < grid[-1]:
            ahead = field(x + (after - now) * slope, after, at=now)
            slope = (slope + ahead) / 2
        x = x + (after - now) * slope
    return x.to(x_0.dtype)


@torch.no_grad()
def euler_maruyama(
    velocity: Velocity,
    x_0: Tensor,
    steps: int,
    *,
    path: Interpolant,
    noise: Callable[[int], Tensor],
    last_step: float = SDE_LAST_STEP,
) -> Tensor:
    """Follow the SDE with the Euler-Maruyama method; the last step is deterministic; NFE = steps.

    The diffusion coefficient is w(t) = 2 (1 - t) on every path, as in the reference.

    Args:
        velocity: the field, called as velocity(x, t, at=start of the step).
        x_0: standard normal noise (b, ...); the state is kept in float64.
        steps: number of steps, the last one of length `last_step`, the others equal.
        path: the path that the velocity belongs to; it turns velocities into scores.
        noise: noise(i) is the standard normal draw of transition i = 0 .. steps - 2, float64, shaped as x_0.
            The caller owns the seeds, so that a sample is the same in any batch.
        last_step: length of the final step in t.

    Returns:
        Samples of the shape and dtype of x_0.
    """
    field, x, grid = _Field(velocity, x_0), x_0.double(), sde_grid(steps, last_step)
    for i, (now, after) in enumerate(pairwise(grid)):
        v, diffusion = field(x, now, at=now), 2 * (1 - now)
        times = torch.full((len(x),), now, dtype=x.dtype, device=x.device)
        drift = v + diffusion / 2 * score_from_velocity(path, v, x, times)
        x = x + (after - now) * drift
        if i < steps - 1:
            x = x + (diffusion * (after - now)) ** 0.5 * noise(i)
    return x.to(x_0.dtype)


# The `at` of every network evaluation in order: what guidance is decided by, hence what it costs.
_DECISIONS: dict[str, Callable[[int, float], list[float]]] = {
    "euler": lambda steps, last_step: ode_grid(steps)[:-1],
    "heun": lambda steps, last_step: [at for at in ode_grid(steps)[:-1] for _ in range(2)][:-1],
    "euler-maruyama": lambda steps, last_step: sde_grid(steps, last_step)[:-1],
}


def decision_times(sampler: str, steps: int, last_step: float = SDE_LAST_STEP) -> list[float]:
    """The `at` of every evaluation that `sampler` makes, in order; `last_step` matters to the SDE only."""
    return _DECISIONS[sampler](steps, last_step)
