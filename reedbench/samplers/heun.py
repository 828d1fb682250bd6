"""Heun's method for the flow ODE, second order. Prefer it over Euler below about 50 steps."""

from typing import Any, ClassVar, Literal

from reedbench.samplers._flow import FlowSampler

EDM = "karras2022elucidating"  # key of the bibliography


class Heun(FlowSampler):
    """Heun's method on a uniform grid of times."""

    cites: ClassVar[tuple[str, ...]] = (*FlowSampler.cites, EDM)
    uses: Literal["heun"] = "heun"

    last: Literal["euler", "heun"] = "euler"
    """The last step: `euler` as REPA, REED and EDM; `heun` corrects it too, as SiT's `heun2`, and evaluates the network
    at t = 1."""

    def cited(self) -> tuple[str, ...]:
        """Guidance; EDM, whose last step is Euler's."""
        found = super().cited()
        return found if self.last == "euler" else tuple(key for key in found if key != EDM)

    def decides_evaluations(self) -> dict[str, Any]:
        """The last step."""
        return {"last": self.last}

    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data); neither the path's schedule nor further noise is needed."""
        from reedbench.nn.samplers import heun

        return heun(velocity, x_0, self.steps, self.last)
