"""Weights of loss terms as functions of the optimizer step, with `start` and `length` in steps.

Source: REED image/train.py:363-385 @0a4527e, its cosines made monotone; HASTE, arXiv:2505.16792 (stop).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

Schedule = Callable[[int, int, int], float]


@dataclass(frozen=True)
class Factor:
    """A factor over training that knows when it is 0 for good.

    Attributes:
        value: of an optimizer step, 0 being the first.
        begin: first step at which it counts; it is 0 before.
        end: first step from which on it is 0 for good, if there is one.
    """

    value: Callable[[int], float] = lambda step: 1.0
    begin: int = 0
    end: int | None = None

    def __call__(self, step: int) -> float:
        """The factor at a step."""
        return self.value(step) if self.active(step) else 0.0

    def active(self, step: int) -> bool:
        """Whether a term with this factor is to be computed."""
        return step >= self.begin and (self.end is None or step < self.end)

    def times(self, weight: float) -> "Factor":
        """The factor times a constant; with 0 it never counts."""
        value = self.value
        return replace(self, value=lambda step: weight * value(step), end=self.end if weight else 0)


def _progress(step: int, start: int, length: int) -> float:
    """Share of the window that has passed, in [0, 1]; a window of length 0 has passed once it starts."""
    if step < start:
        return 0.0
    if step >= start + length:
        return 1.0
    return (step - start) / length


def constant() -> float:
    """Full weight at every step."""
    return 1.0


def linear_ramp(step: int, start: int, length: int) -> float:
    """0 up to and including `start`, 1 from `start + length` on; with length 0 it is 1 from `start` on."""
    return _progress(step, start, length)


def linear_decay(step: int, start: int, length: int) -> float:
    """1 up to `start`, then a straight line to 0 at `start + length`, and 0 after that."""
    return 1.0 - _progress(step, start, length)


def cosine_decay(step: int, start: int, length: int) -> float:
    """1 up to `start`, then half a cosine wave to 0 at `start + length`, and 0 after that.

    The reference rises again past the end and, for the denoising loss, shifts the phase by `start` radians:
    both are errors of its formula and are not reproduced.
    """
    return (1.0 + math.cos(math.pi * _progress(step, start, length))) / 2.0


def exponential_decay(step: int, start: int, length: int) -> float:
    """1 up to `start`, then ten times less every `length` steps; it never ends. SRA, arXiv:2505.02831."""
    return 0.1 ** (max(0, step - start) / length) if length else drop_after(step, start)


def drop_after(step: int, start: int) -> float:
    """1 before `start` and 0 from `start` on: a term that is switched off once it has served."""
    return 1.0 if step < start else 0.0


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda step, start, length: constant(),
    "linear-ramp": linear_ramp,
    "linear-decay": linear_decay,
    "cosine-decay": cosine_decay,
    "exponential-decay": exponential_decay,
    "stop": lambda step, start, length: drop_after(step, start),
}


def factor(shape: str, start: int, length: int) -> Factor:
    """The factor of a schedule. At `start` itself a ramp is still 0, and counts."""
    value = SCHEDULES[shape]
    ends = {"linear-decay": start + length, "cosine-decay": start + length, "stop": start}
    begin = start if shape == "linear-ramp" else 0
    return Factor(lambda step: value(step, start, length), begin, ends.get(shape))
