"""Euler-Maruyama for the reverse SDE with a deterministic last step: the headline sampler of SiT, REPA and REED."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core.constants import SDE_LAST_STEP
from reedbench.samplers._flow import FlowSampler


class EulerMaruyama(FlowSampler):
    """Stochastic; every sample draws its noise from its own stream."""

    cites: ClassVar[tuple[str, ...]] = (*FlowSampler.cites, "ma2024sit")
    uses: Literal["euler-maruyama"] = "euler-maruyama"

    last_step: float = Field(SDE_LAST_STEP, gt=0, lt=1)
    """Length in t of the final, deterministic step."""
    last: Literal["mean", "euler", "tweedie", "none"] = "mean"
    """What the final step follows: the drift (`mean`, as REPA, REED and SiT by default), the velocity (`euler`), or the
    expected data (`tweedie`, on the linear path the same); with `none` there is none: all steps are equal and noisy."""
    diffusion: Literal["linear", "sigma", "constant", "decreasing", "increasing-decreasing"] = "linear"
    """The coefficient w(t) of the noise sqrt(2 w) and of the score in the drift: `linear` 1 - t as REPA and REED on
    every path, `sigma` the noise of the path as SiT by default (equal on the linear path), `constant` 1, `decreasing`
    (cos(pi t) + 1)^2 / 4, `increasing-decreasing` sin(pi t)^2."""
    diffusion_scale: float = Field(1.0, gt=0)
    """By which w(t) is multiplied, in `decreasing` its cosine (SiT's --diffusion-norm)."""
    corrector: Literal["none", "heun"] = "none"
    """`heun` takes the mean of the drift at both ends of each noisy step, as SiT's SDE by Heun."""

    @model_validator(mode="after")
    def _without_a_last_step(self) -> "EulerMaruyama":
        if self.last == "none":
            self.refuse("last_step", where="at last: none")
            if self.corrector != "none":
                raise ValueError(
                    "corrector: heun needs a last step without noise (last): the score at t = 1 is infinite"
                )
        return self

    def decides_evaluations(self) -> dict[str, Any]:
        """The last step, and the corrector."""
        return {"last_step": self.last_step, "last": self.last, "corrected": self.corrector == "heun"}

    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data); `noise(i)` gives the standard normal noise of noisy step i."""
        from reedbench.nn.samplers import euler_maruyama

        return euler_maruyama(
            velocity,
            x_0,
            self.steps,
            path=path,
            noise=noise,
            diffusion=self.diffusion,
            scale=self.diffusion_scale,
            **self.decides_evaluations(),
        )
