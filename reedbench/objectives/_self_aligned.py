"""Settings of self-alignment, which image and protein methods share."""

from typing import Any, Literal

from pydantic import Field, model_validator

from reedbench.objectives import AbstractObjective
from reedbench.objectives._schedule import Schedule


class SelfAligning(AbstractObjective):
    """An early block is pulled towards a later one of the weight average at a cleaner time."""

    student_depth: int = Field(ge=1, examples=[1])
    """Block (of proteins, decoder layer) that is pulled, 1-based."""
    teacher_depth: int = Field(ge=1, examples=[2])
    """Block (of proteins, decoder layer) of the average that it is pulled to."""
    weight: float = Field(0.5, gt=0)
    """Coefficient of the distance."""
    align: Schedule = Schedule()
    """Factor of the distance; the paper's runs take `exponential-decay`."""
    distance: Literal["cosine", "smooth-l1"] = "cosine"
    """`cosine` is one minus it, as in the newer code; `smooth-l1` is the paper's, with weight 0.2."""
    beta: float = Field(0.05, gt=0)
    """Of smooth-l1: below it differences count as squares."""
    spread: float = Field(0.2, gt=0, le=1)
    """How much later the teacher's time is at most."""

    @model_validator(mode="after")
    def _a_deeper_one_teaches(self) -> "SelfAligning":
        if self.distance == "cosine":
            self.refuse("beta", where="on distance: cosine")
        if self.student_depth > self.teacher_depth:
            one, other = self.student_depth, self.teacher_depth
            raise ValueError(f"student {one} lies behind teacher {other}: the deeper one teaches")
        return self

    @property
    def term(self) -> str:
        """Name of its loss term."""
        return f"self@{self.student_depth}"

    def depths(self) -> tuple[int, ...]:
        """Student and teacher."""
        return self.student_depth, self.teacher_depth

    def pull(self) -> Any:
        """The `nn.schedules.Factor` of the distance."""
        return self.align.factor().times(self.weight)

    def head(self, width: int, generator: Any, law: str) -> Any:
        """The student's, initialised from the streams of its published names by a law of `nn.alignment.Projector`."""
        from reedbench.nn.alignment import Projector

        head = Projector(width, 2 * width, width, layers=2, law=law)
        head.initialise(lambda name: generator(f"projectors.{self.term}.{name}"))
        return head
