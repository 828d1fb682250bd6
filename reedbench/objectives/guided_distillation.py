"""Guided distillation, stage 1: both evaluations of guidance become one. Meng et al. 2022, arXiv:2210.03142."""

from typing import ClassVar, Literal

from reedbench.objectives._distilled import DistilledObjective


class GuidedDistillation(DistilledObjective):
    """The network reads the scale of guidance, and learns the guided velocity of a frozen teacher for all of them.

    A sampler's `guidance` is the scale, and takes one evaluation per step.
    """

    cites: ClassVar[tuple[str, ...]] = ("meng2023distillation",)
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = "omega(t) |v(x_t,t,y,s) - sg[v_T(null) + s (v_T(y) - v_T(null))]|^2, s ~ U[lo,hi] per row"
    cost: ClassVar[str] = "3F + 2F per step; once: the training of its teacher"
    choices: ClassVar[tuple[str, ...]] = (
        "scales between 1 and 4 by default",
        "the last layer of the scale's embedding starts at 0, so that the student starts as its teacher",
    )
    uses: Literal["guided-distillation"] = "guided-distillation"
