"""Progressive distillation of guided networks, stage 2: two steps become one. Meng et al. 2022, arXiv:2210.03142.

Source: Salimans and Ho 2022, arXiv:2202.00512, whose rounds these are.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.objectives._distilled import DistilledObjective


class ProgressiveDistillation(DistilledObjective):
    """One Euler step of the student is two of its teacher, a network that reads the scale of guidance.

    Each round is a method whose teacher is the round before, of twice as many steps. Published rounds take the trained
    weights themselves (ema_decay: 0) and let the learning rate fall to 0 (optimiser: {decay_over: ...}).
    """

    cites: ClassVar[tuple[str, ...]] = ("meng2023distillation", "salimans2022progressive")
    tier: ClassVar[str] = "faithful"
    formula: ClassVar[str] = (
        "omega(t) |v(x_t,t,y,s) - sg[(v_T(x_t,t,y,s) + v_T(x_t + h v_T,t+h,y,s))/2]|^2, t = i/M, h = 1/(2M), "
        "i uniform in 0..M-1"
    )
    cost: ClassVar[str] = "3F + 2F per step; once: the training of its teacher and of all rounds before"
    choices: ClassVar[tuple[str, ...]] = (
        "scales between 1 and 4 by default",
        "Euler's steps alone, without the paper's stochastic sampler",
    )
    learns_a_pair: ClassVar[bool] = False
    uses: Literal["progressive-distillation"] = "progressive-distillation"

    student_steps: int = Field(ge=1, le=4096, examples=[4])
    """Number of Euler steps M with which it is sampled; its teacher's are twice as many, where it has a number."""

    @model_validator(mode="after")
    def _times_are_those_of_the_steps(self) -> "ProgressiveDistillation":
        self.refuse("times", where="on the student's own steps, each of which is as likely")
        return self

    def few_steps(self) -> int:
        """M."""
        return self.student_steps

    def untaught(self, teacher: Any) -> str | None:
        """The teacher must read all scales of the student, and have twice its steps, or any number of them."""
        if teacher.guided_by != "input":
            return f"{teacher.uses} reads no scale: take a teacher of guided-distillation, or of the round before"
        (low, high), (least, most) = self.between, teacher.scales()
        if not least <= low <= high <= most:
            return f"has learnt scales from {least:g} to {most:g}, and `between` asks for {low:g} to {high:g}"
        if (steps := teacher.few_steps()) not in (None, 2 * self.student_steps):
            return f"has {steps} steps, of which student_steps {self.student_steps} are not the half"
        return super().untaught(teacher)

    def learner(self, network: Any, flow: Any) -> Any:
        """One that looks up two steps of the teacher."""
        from reedbench.nn.distillation import HalvedSteps

        return HalvedSteps(network, flow, self.denoise.factor(), steps=self.student_steps, **self.settings())
