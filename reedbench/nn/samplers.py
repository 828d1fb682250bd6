"""Samplers from noise at t = 0 to data at t = 1: Euler and Heun for the ODE, Euler-Maruyama for the SDE.

Source: REPA samplers.py @67f7145, with t reversed; SiT transport/{path,transport,integrators}.py @947f95b (diffusion
coefficients, last steps, corrector).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from reedbench.core.constants import SDE_LAST_STEP
from reedbench.nn.interpolants import Interpolant, data_from_velocity, score_from_velocity
from reedbench.nn.parts import Continuous, State

Diffusion = Literal["linear", "sigma", "constant", "decreasing", "increasing-decreasing"]
Last = Literal["mean", "euler", "tweedie", "none"]


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


LOG_END = 0.99  # where the logarithmic grid ends: REED molecule/semlaflow/flowmodels/fm.py:974-1046 @0a4527e


def log_grid(steps: int) -> list[float]:
    """The `steps + 1` times from 0 to 0.99 whose distances from 1 are in geometric progression."""
    return [1 - (1 - LOG_END) ** share for share in ode_grid(steps)]


def sde_grid(steps: int, last_step: float = SDE_LAST_STEP, last: Last = "mean") -> list[float]:
    """The `steps + 1` times of the SDE sampler: equidistant up to `1 - last_step`, then 1; all so if last is `none`."""
    if last == "none":
        return ode_grid(steps)
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


# A part (b, ...), what is predicted of it, and the times between which it moves -> the part after that.
Move = Callable[[Tensor, Tensor, float, float], Tensor]


@torch.no_grad()
def jointly(
    predict: Callable[[State, float], Mapping[str, Tensor]],
    state: State,
    moves: Mapping[str, Move],
    times: Sequence[float],
) -> State:
    """Follow a state of several parts along a grid of times: one prediction of all of them, then a step of each.

    Args:
        predict: of a state and its time what is predicted of every part.
        state: at the first time.
        moves: of every part.
        times: the grid; NFE is one less than its length.

    Returns:
        The state at the last time.
    """
    for now, after in pairwise(times):
        predicted = predict(state, now)
        state = {name: move(state[name], predicted[name], now, after) for name, move in moves.items()}
    return state


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
    field = _Field(velocity, x_0)

    def predict(state: State, now: float) -> State:
        return {"x": field(state["x"], now, at=now)}

    return jointly(predict, {"x": x_0.double()}, {"x": Continuous().step}, ode_grid(steps))["x"].to(x_0.dtype)


@torch.no_grad()
def heun(velocity: Velocity, x_0: Tensor, steps: int, last: Literal["euler", "heun"] = "euler") -> Tensor:
    """Follow the ODE with Heun's method; NFE = 2 steps, one less with a last step by Euler's (REPA; SiT corrects it).

    Arguments and result as in `euler`. Both evaluations of a step get the same `at`.
    """
    field, x, grid = _Field(velocity, x_0), x_0.double(), ode_grid(steps)
    for now, after in pairwise(grid):
        slope = field(x, now, at=now)
        if after < grid[-1] or last == "heun":
            ahead = field(x + (after - now) * slope, after, at=now)
            slope = (slope + ahead) / 2
        x = x + (after - now) * slope
    return x.to(x_0.dtype)


def diffusion_of(form: Diffusion, path: Interpolant, t: float, scale: float = 1.0) -> float:
    """The diffusion coefficient w(t): the SDE has the drift v + w score and the noise sqrt(2 w).

    Every choice has the ODE's marginals. `linear` is that of REPA on every path, `sigma` SiT's default; on the linear
    path they are equal. SiT's SBDM is not offered: with a velocity it is infinite at t = 0, where sampling begins.
    """
    if form == "sigma":
        return scale * path.sigma(torch.tensor(t, dtype=torch.float64)).item()
    forms = {
        "linear": scale * (1 - t),
        "constant": scale,
        "decreasing": (scale * math.cos(math.pi * t) + 1) ** 2 / 4,
        "increasing-decreasing": scale * math.sin(math.pi * t) ** 2,
    }
    return forms[form]


@torch.no_grad()
def euler_maruyama(
    velocity: Velocity,
    x_0: Tensor,
    steps: int,
    *,
    path: Interpolant,
    noise: Callable[[int], Tensor],
    last_step: float = SDE_LAST_STEP,
    last: Last = "mean",
    diffusion: Diffusion = "linear",
    scale: float = 1.0,
    corrected: bool = False,
) -> Tensor:
    """Follow the SDE with the Euler-Maruyama method; NFE = steps, with a corrector 2 steps - 1.

    Args:
        velocity: the field, called as velocity(x, t, at=start of the step).
        x_0: standard normal noise (b, ...); the state is kept in float64.
        steps: number of steps, the last one of length `last_step`, the others equal.
        path: the path that the velocity belongs to; it turns velocities into scores.
        noise: noise(i) is the standard normal draw of noisy step i = 0, 1, ..., float64, shaped as x_0.
            The caller owns the seeds, so that a sample is the same in any batch.
        last_step: length of the final step in t.
        last: how it is taken, without noise: along the SDE's drift (`mean`), along the velocity (`euler`), or to the
            data that are expected (`tweedie`); with `none` there is no such step, and `steps` equal noisy ones.
        diffusion: form of the coefficient (`diffusion_of`).
        scale: by which it is multiplied; in `decreasing` its cosine is.
        corrected: noisy steps by Heun's method, the noise first: their drift is that at both ends.

    Returns:
        Samples of the shape and dtype of x_0.
    """
    if corrected and last == "none":
        raise ValueError("a corrector needs a last step without noise: the score at t = 1 is infinite")
    field, x, moves = _Field(velocity, x_0), x_0.double(), list(pairwise(sde_grid(steps, last_step, last)))
    ending = [] if last == "none" else [moves.pop()]

    def drift(x: Tensor, t: float, v: Tensor) -> Tensor:
        return v + diffusion_of(diffusion, path, t, scale) * score_from_velocity(path, v, x, _times(x, t))

    for i, (now, after) in enumerate(moves):
        dt = after - now
        spread = (2 * diffusion_of(diffusion, path, now, scale) * dt) ** 0.5
        if not corrected:
            x = x + dt * drift(x, now, field(x, now, at=now)) + spread * noise(i)
            continue
        x = x + spread * noise(i)
        slope = drift(x, now, field(x, now, at=now))
        ahead = x + dt * slope
        x = x + dt * (slope + drift(ahead, after, field(ahead, after, at=now))) / 2
    for now, after in ending:
        v = field(x, now, at=now)
        if last == "tweedie":
            x = data_from_velocity(path, v, x, _times(x, now))
        else:
            x = x + (after - now) * (v if last == "euler" else drift(x, now, v))
    return x.to(x_0.dtype)


def _times(x: Tensor, t: float) -> Tensor:
    return torch.full((len(x),), t, dtype=x.dtype, device=x.device)


def _twice(starts: list[float], last: int) -> list[float]:
    """Two evaluations per step, `last` of the last one."""
    return [*(at for at in starts[:-1] for _ in range(2)), *starts[-1:] * last]


def _of_sde(steps: int, last_step: float = SDE_LAST_STEP, last: Last = "mean", corrected: bool = False) -> list[float]:
    starts = sde_grid(steps, last_step, last)[:-1]
    return _twice(starts, 1) if corrected else starts


# The `at` of every network evaluation in order: what guidance is decided by, hence what it costs.
_DECISIONS: dict[str, Callable[..., list[float]]] = {
    "euler": lambda steps: ode_grid(steps)[:-1],
    "heun": lambda steps, last="euler": _twice(ode_grid(steps)[:-1], 2 if last == "heun" else 1),
    "euler-maruyama": _of_sde,
}


def decision_times(sampler: str, steps: int, **settings: Any) -> list[float]:
    """The `at` of every evaluation that `sampler` makes, in order; `settings`: those that move or add evaluations."""
    return _DECISIONS[sampler](steps, **settings)
