"""Classifier-free guidance inside a time interval, and what it costs in network evaluations.

Source: arXiv:2207.12598, arXiv:2404.07724 (interval); REPA samplers.py:54-70 @67f7145, with t reversed; SiT
models.py:250 @947f95b, which guides three of four channels.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from reedbench.nn.samplers import decision_times

Interval = tuple[float, float]
_SLACK: Final = 1e-9  # 3 * 0.1 > 0.3 in binary: an end of the interval that lies on the grid must count as inside


class GuidedVelocity(Protocol):
    """A conditional velocity that also wants to know when the current sampler step started."""

    def __call__(self, x: Tensor, t: Tensor, y: Tensor, at: float) -> Tensor:
        """Velocity at x (b, ...), times t (b,) and labels y (b,)."""
        ...


def is_active(at: float, scale: float, interval: Interval) -> bool:
    """Whether a step that starts at `at` is guided: scale above 1 and `at` in the interval, ends included."""
    low, high = interval
    return scale > 1 and low - _SLACK <= at <= high + _SLACK


def guided(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor],
    null_label: int,
    scale: float,
    interval: Interval = (0.0, 1.0),
    channels: int | None = None,
) -> GuidedVelocity:
    """Guide a conditional velocity f(x, t, y): v_null + scale (v_y - v_null) on all channels, or on the first ones.

    A guided evaluation is one call on the doubled batch [x; x] with labels [y; null]; otherwise the call is
    passed on unchanged, so scale 1 and an interval that is never hit are bit-equal to no guidance.

    The decision is taken from `at`, the start of the sampler's step, and not from t: Heun evaluates twice per
    step and must be guided in both evaluations or in none. Samplers hand `at` over, as in
    `euler(lambda x, t, at: field(x, t, y, at), x_0, steps)`.

    Args:
        velocity: conditional velocity of x (b, ...), t (b,) and integer labels y (b,).
        null_label: index of the label that means "no condition".
        scale: guidance scale, at least 1; 1 is off.
        interval: times (0 = noise, 1 = data) between which guidance is on, both included.
        channels: how many are guided; the others keep the conditional velocity. None: all.
    """
    if scale < 1:
        raise ValueError(f"guidance scale must be at least 1 (1 is off), got {scale}")

    def field(x: Tensor, t: Tensor, y: Tensor, at: float) -> Tensor:
        if not is_active(at, scale, interval):
            return velocity(x, t, y)
        labels = torch.cat([y, torch.full_like(y, null_label)])
        conditional, unconditional = velocity(torch.cat([x, x]), torch.cat([t, t]), labels).chunk(2)
        steered = unconditional + scale * (conditional - unconditional)
        return steered if channels is None else torch.cat([steered[:, :channels], conditional[:, channels:]], 1)

    return field


def evaluations(sampler: str, steps: int, scale: float = 1.0, interval: Interval = (0.0, 1.0), **settings: Any) -> int:
    """Network evaluations per sample, a guided evaluation counting twice; `settings` as in `decision_times`."""
    return sum(2 if is_active(at, scale, interval) else 1 for at in decision_times(sampler, steps, **settings))


def stretches(scale: float, interval: Interval) -> list[Interval]:
    """The parts of time in which guidance is on throughout, or off, in order."""
    ends = sorted({0.0, 1.0, *(interval if scale > 1 else ())})
    return list(pairwise(ends))
