"""A factor over training, as objectives are given it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from reedbench.core.frozen import Frozen


class Schedule(Frozen):
    """A factor as a function of the optimizer step; it names its own length, so that longer runs change nothing."""

    shape: Literal["constant", "linear-ramp", "linear-decay", "cosine-decay", "exponential-decay", "stop"] = "constant"
    """`constant` is 1; ramps go 0 -> 1, decays 1 -> 0 over `length` steps, `exponential-decay` to a tenth over each;
    `stop` is 1 before `start`, then 0."""
    start: int = Field(0, ge=0)
    """Step at which the ramp, decay or stop begins."""
    length: int = Field(0, ge=0)
    """Steps from one end of the ramp or decay to the other, or in which `exponential-decay` falls to a tenth."""

    @model_validator(mode="after")
    def _only_what_has_an_effect(self) -> "Schedule":
        if self.shape.endswith(("decay", "ramp")) and not self.length:
            raise ValueError(f"{self.shape} needs a length of at least 1 step")
        idle = {"constant": ("start", "length"), "stop": ("length",)}
        cure = "name another shape, or take it out"
        self.refuse(*idle.get(self.shape, ()), where=f"on shape {self.shape}", cure=cure)
        return self

    def factor(self) -> Any:
        """The `nn.schedules.Factor`."""
        from reedbench.nn import schedules

        return schedules.factor(self.shape, self.start, self.length)
