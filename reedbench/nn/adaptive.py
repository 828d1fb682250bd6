"""The method of Dormand and Prince, order 5 with steps of its own choice: SiT's default for the ODE.

Steps are accepted and chosen as torchdiffeq does it (`dopri5`, version 0.2.5): Dormand and Prince 1980 with the error
estimate of Shampine 1986, and the first step of Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I,
II.4. There one step holds for all samples of a network call, and its error is a mean over them (`by_call`). Here each
sample has its own, so that it is the same in any company (`by_sample`).
"""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from reedbench.core.errors import Diverged
from reedbench.nn.guidance import Interval, is_active, stretches
from reedbench.nn.interpolants import expand
from reedbench.nn.samplers import Velocity

Slope = Callable[[Tensor, Tensor], Tensor]  # at x (b, ...) and times t (b,), all float64

# Of each stage after the first: its time within the step, and the weights of the slopes before it. The last one stands
# at the solution, so that its slope is the first one of the next step.
STAGES: Final = (
    (1 / 5, (1 / 5,)),
    (3 / 10, (3 / 40, 9 / 40)),
    (4 / 5, (44 / 45, -56 / 15, 32 / 9)),
    (8 / 9, (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729)),
    (1.0, (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656)),
    (1.0, (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)),
)
EMBEDDED: Final = (1951 / 21600, 0.0, 22642 / 50085, 451 / 720, -12231 / 42400, 649 / 6300, 1 / 60)  # Shampine's
SAFETY, MOST, LEAST = 0.9, 10.0, 0.2  # of the next step, as factors of this one
FIRST: Final = 2  # evaluations before the first step


@torch.no_grad()
def by_sample(slope: Slope, x: Tensor, begin: float, end: float, *, rtol: float, atol: float) -> tuple[Tensor, Tensor]:
    """Follow an ODE from `begin` to `end`, every sample in steps of its own; the last one ends at `end`.

    The network is called for all samples until the last of them is there: what is computed of one does not depend on
    which others are.

    Args:
        slope: of all samples, each at its own time.
        x: where they begin (b, ...), float64.
        begin: time at which they do.
        end: time at which they end.
        rtol: error allowed in a step, relative to the larger of the states around it.
        atol: and absolutely; both together as a root mean square over the entries of a sample.

    Returns:
        Where they end, and how many evaluations each of them took (b,), int64.

    Raises:
        Diverged: a slope is not finite, or steps become too short for float64.
    """
    t = torch.full((len(x),), begin, dtype=x.dtype, device=x.device)
    first = slope(x, t)
    step = _first_step(slope, x, t, first, end, rtol, atol)
    made = torch.full((len(x),), FIRST, device=x.device)
    while bool((live := t < end).any()):
        last = step >= end - t
        dt = torch.where(last, end - t, step)
        if bool((live & ~(t + dt > t)).any()):  # also where dt is NaN
            raise Diverged(
                f"sampling: steps vanish at t = {t[live].min().item():.4g}: the velocity is not finite there"
            )
        slopes, ahead = [first], x
        for share, weights in STAGES:
            ahead = x + expand(dt, x) * _mixed(slopes, weights)
            slopes.append(slope(ahead, t + share * dt))
        error = expand(dt, x) * (_mixed(slopes, STAGES[-1][1]) - _mixed(slopes, EMBEDDED))
        ratio = _rms(error / (atol + rtol * torch.maximum(x.abs(), ahead.abs())))
        accepted = live & (ratio <= 1)
        x, first = (torch.where(expand(accepted, x), new, old) for new, old in ((ahead, x), (slopes[-1], first)))
        t = torch.where(accepted, torch.where(last, end, t + dt), t)
        step, made = dt * _factor(ratio), made + len(STAGES) * live
    return x, made


@torch.no_grad()
def by_call(slope: Slope, x: Tensor, begin: float, end: float, *, rtol: float, atol: float) -> tuple[Tensor, Tensor]:
    """Follow an ODE as SiT does, by torchdiffeq: all samples in the same steps, under their common error.

    The last step goes beyond `end`, where the slope is evaluated too, and the result is interpolated. Arguments and
    result as in `by_sample`.

    Raises:
        Diverged: a slope is not finite, or steps become too short for float64.
        ImportError: torchdiffeq is not installed.
    """
    from torchdiffeq import odeint

    made = 0

    def counted(t: Tensor, x: Tensor) -> Tensor:
        nonlocal made
        made += 1
        return slope(x, t.expand(len(x)))

    times = torch.tensor([begin, end], dtype=x.dtype, device=x.device)
    try:
        x = odeint(counted, x, times, rtol=rtol, atol=atol, method="dopri5")[-1]
    except AssertionError as error:  # how torchdiffeq says it
        raise Diverged(f"sampling: the velocity is not finite somewhere (torchdiffeq: {error})") from error
    return x, torch.full((len(x),), made, device=x.device)


SOLVERS: Final = {"sample": by_sample, "reference": by_call}


def followed(
    velocity: Velocity, x_0: Tensor, guidance: float, interval: Interval, *, by: str, rtol: float, atol: float
) -> tuple[Tensor, Tensor]:
    """Follow a guided velocity from noise to data; where guidance sets in or ends a new integration begins.

    So no step reaches across the jump of the velocity there, and one decision holds for the whole of a step.

    Args:
        velocity: the field, guidance included.
        x_0: standard normal noise (b, ...); the state is kept in float64.
        guidance: its scale, 1 where it is off.
        interval: times between which it is on.
        by: `sample` or `reference`, of `SOLVERS`.
        rtol: error allowed in a step, relative to the state.
        atol: and absolutely.

    Returns:
        Samples of the shape and dtype of x_0, and the evaluations of each (b,), int64, a guided one counting twice.
    """
    x, made = x_0.double(), torch.zeros(len(x_0), dtype=torch.int64, device=x_0.device)
    for begin, end in stretches(guidance, interval):
        middle = (begin + end) / 2

        def slope(x: Tensor, t: Tensor, at: float = middle) -> Tensor:
            return velocity(x.to(x_0.dtype), t.to(x_0.dtype), at=at).double()

        x, taken = SOLVERS[by](slope, x, begin, end, rtol=rtol, atol=atol)
        made += taken * (2 if is_active(middle, guidance, interval) else 1)
    return x.to(x_0.dtype), made


def _mixed(slopes: list[Tensor], weights: tuple[float, ...]) -> Tensor:
    # Sums in a fixed order, and without a product over the batch: a row does not depend on others.
    total = torch.zeros_like(slopes[0])
    for slope, weight in zip(slopes, weights, strict=False):
        if weight:
            total = total + weight * slope
    return total


def _rms(x: Tensor) -> Tensor:
    """Root mean square over the entries of each sample, (b,)."""
    return x.square().flatten(1).mean(1).sqrt()


def _factor(ratio: Tensor) -> Tensor:
    """By which the next step is longer, given errors relative to what is allowed."""
    least = torch.where(ratio < 1, 1.0, LEAST)
    return torch.where(ratio == 0, MOST, torch.maximum(SAFETY * ratio**-0.2, least).clamp(max=MOST))


def _first_step(slope: Slope, x: Tensor, t: Tensor, first: Tensor, end: float, rtol: float, atol: float) -> Tensor:
    """A length (b,) for the first step, from slopes here and a little ahead."""
    scale = atol + rtol * x.abs()
    size, speed = _rms(x / scale), _rms(first / scale)
    small = (size < 1e-5) | (speed < 1e-5)
    little = torch.where(small, 1e-6, 0.01 * size / speed).clamp(max=end - float(t[0]))
    ahead = slope(x + expand(little, x) * first, t + little)
    bend = _rms((ahead - first) / scale) / little
    flat = (speed <= 1e-15) & (bend <= 1e-15)
    longer = torch.where(flat, (little * 1e-3).clamp(min=1e-6), (0.01 / torch.maximum(speed, bend)) ** 0.2)
    return torch.minimum(100 * little, longer)
