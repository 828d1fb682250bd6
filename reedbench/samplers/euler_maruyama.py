"""Euler-Maruyama for the reverse SDE with a deterministic last step: the headline sampler of SiT, REPA and REED."""

from typing import Any, Literal

from pydantic import Field

from reedbench.core.constants import SDE_LAST_STEP
from reedbench.samplers._flow import FlowSampler


class EulerMaruyama(FlowSampler):
    """Stochastic; every sample draws its noise from its own stream."""

    uses: Literal["euler-maruyama"] = "euler-maruyama"

    last_step: float = Field(SDE_LAST_STEP, gt=0, lt=1)
    """Length in t of the final, deterministic step."""

    def nfe(self) -> int:
        """As many as steps, more where guided; the grid depends on the last step."""
        from reedbench.nn.guidance import evaluations

        return evaluations(self.uses, self.steps, self.guidance, self.interval, self.last_step)

    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data); `noise(i)` gives the standard normal noise of transition i."""
        from reedbench.nn.samplers import euler_maruyama

        return euler_maruyama(velocity, x_0, self.steps, path=path, noise=noise, last_step=self.last_step)
