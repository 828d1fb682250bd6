"""A factor over training, as objectives are given it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from reedbench.core.frozen import Frozen


class Schedule(Frozen):
    """A factor as a function of the optimizer step; it names its own length, so that longer runs change nothing."""

    shape: Literal["constant", "linear-ramp", "linear-decay", "cosine-decay", "stop"] = "constant"
    """`constant` is 1; ramps go 0 -> 1, decays 1 -> 0 over `length` steps; `stop` is 1 before `start`, then 0."""
    start: int = Field(0, ge=0)
    """Step at which the ramp, decay or stop begins."""
    length: int = Field(0, ge=0)
    """Steps from one end of the ramp or decay to the other."""

    @model_validator(mode="after")
    def _length_where_it_matters(self) -> "Schedule":
        if self.shape.endswith(("decay", "ramp")) and not self.length:
            raise ValueError(f"{self.shape} needs a length of at least 1 step")
        if self.shape in ("constant", "stop") and self.length:
            raise ValueError(f"length has no effect on shape {self.shape}; name another shape, or leave length out")
        return self

    def factor(self) -> Any:
        """The `nn.schedules.Factor`."""
        from reedbench.nn import schedules

        return schedules.factor(self.shape, self.start, self.length)
