"""Samplers: how noise becomes samples once a network is trained. One file each; sampler, steps and guidance are part
of every number."""

from abc import abstractmethod
from typing import Any, ClassVar

from pydantic import Field, model_validator

from reedbench.core.plugins import Plugin


class AbstractSampler(Plugin):
    """A sampler of the continuous flow with classifier-free guidance; times run from 0 (noise) to 1 (data)."""

    version: ClassVar[int] = 1

    steps: int = Field(250, ge=1)
    """Number of steps."""
    guidance: float = Field(1.0, ge=1.0)
    """Classifier-free guidance scale s in v_u + s (v_c - v_u); 1 is off."""
    interval: tuple[float, float] = (0.0, 1.0)
    """Times between which guidance is on, inclusive, in our time (REPA's guidance_high 0.7 is [0.3, 1] here)."""

    @model_validator(mode="after")
    def _interval_is_ordered(self) -> "AbstractSampler":
        low, high = self.interval
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"interval [{low}, {high}] must satisfy 0 <= low <= high <= 1")
        return self

    def nfe(self) -> int:
        """Network evaluations per sample, with the second evaluation that guidance needs."""
        from reedbench.nn.guidance import evaluations

        return evaluations(self.uses, self.steps, self.guidance, self.interval)

    @abstractmethod
    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data)."""
