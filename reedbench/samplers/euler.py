"""Euler's method for the flow ODE, first order. Fastest; use many steps for headline tables."""

from typing import Any, ClassVar, Literal

from reedbench.samplers._flow import FlowSampler


class Euler(FlowSampler):
    """Euler's method on a uniform grid of times."""

    uncited: ClassVar[str] = "a textbook method, unless it is guided"
    uses: Literal["euler"] = "euler"

    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data); neither the path's schedule nor further noise is needed."""
        from reedbench.nn.samplers import euler

        return euler(velocity, x_0, self.steps)
