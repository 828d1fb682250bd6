"""How a run is cut: its segments, the steps at which weights are saved, and those that are evaluated."""

import math
from dataclasses import dataclass, replace
from typing import Any

from reedbench.core import stores
from reedbench.core.errors import ConfigError


@dataclass(frozen=True)
class Course:
    """The steps of a run.

    Attributes:
        segment: steps of a job.
        every: grid of saved weights.
        evaluated: steps at which samples are drawn and scored.
        closed: whether the last of them is the end, as with weights from outside and methods of their own length; else
            a run can be extended, and goes on to the end of a segment.
    """

    segment: int
    every: int
    evaluated: tuple[int, ...]
    closed: bool = False

    @classmethod
    def at(cls, step: int) -> "Course":
        """Of weights of one step, made in one go."""
        return cls(step, step, (step,), closed=True)

    def ending(self, step: int) -> "Course":
        """The same up to a step, which is the last, and evaluated."""
        return replace(self, evaluated=(*(one for one in self.evaluated if one < step), step), closed=True)

    @property
    def segments(self) -> int:
        """Number of segments: the last evaluation step, rounded up to whole segments."""
        return math.ceil(max(self.evaluated) / self.segment)

    @property
    def total(self) -> int:
        """Steps in all: the last evaluation, rounded up to a whole segment where it is not the end."""
        return max(self.evaluated) if self.closed else self.segments * self.segment

    def saves(self, step: int) -> bool:
        """Whether weights are saved at a step."""
        return step > 0 and not step % self.every and not (self.closed and step > self.total)

    def has(self, i: int) -> bool:
        """Whether there is such a segment, or can be one."""
        return not self.closed or i < self.segments

    def segment_of(self, step: int) -> int:
        """The segment whose weights include a step.

        Raises:
            ConfigError: no weights are saved at that step.
        """
        if not self.saves(step):
            there = (
                f"there are weights of step {self.total} alone"
                if self.closed and self.every == self.total
                else f"the run ends at step {self.total}"
                if self.closed and step > self.total
                else f"weights are saved at multiples of train.save_every ({self.every})"
            )
            raise ConfigError(f"step {step} is off the grid: {there}")
        return (step - 1) // self.segment

    def span(self, i: int) -> tuple[int, int]:
        """First and last step (exclusive start, inclusive stop) of a segment."""
        stop = (i + 1) * self.segment
        return i * self.segment, min(stop, self.total) if self.closed else stop

    def save_points(self, i: int) -> list[int]:
        """Steps at which a segment's weights are saved and published."""
        return stores.save_points(*self.span(i), self.every)

    def grid(self, i: int) -> str:
        """How a segment is cut, which no recipe says: first and last step, and steps between saved weights."""
        return "-".join(map(str, (*self.span(i), self.every)))


def shared_course(benchmark: Any) -> Course:
    """How runs are cut, given what the benchmark's file says."""
    return Course(int(benchmark.train.segment), int(benchmark.train.save_every), tuple(benchmark.evaluate))


def course_of(benchmark: Any, method: Any) -> Course:
    """How those of a method are cut."""
    if (own := method.own_step()) is not None:
        return Course.at(own)
    length = method.length()
    return shared_course(benchmark) if length is None else shared_course(benchmark).ending(length)


def drawn_at(benchmark: Any, method: Any, sampler: str) -> tuple[int, ...]:
    """Evaluated steps of a method at which a sampler draws, given what the benchmark's file says."""
    if method.samplers is not None and sampler not in method.samplers:
        return ()
    every = course_of(benchmark, method).evaluated
    chosen = benchmark.only_at.get(sampler) if method.own_step() is None else None
    return every if chosen is None else tuple(step for step in every if step in chosen or step == every[-1])
