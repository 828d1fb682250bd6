"""What samplers of a continuous flow share: steps, classifier-free guidance, noise from every sample's own stream."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from reedbench.samplers import AbstractSampler, Streams


class FlowSampler(AbstractSampler):
    """A sampler of the continuous flow with classifier-free guidance."""

    domain: ClassVar[str] = "image"

    steps: int = Field(250, ge=1)
    """Number of steps."""
    guidance: float = Field(1.0, ge=1.0)
    """Classifier-free guidance scale s in v_u + s (v_c - v_u); 1 is off."""
    interval: tuple[float, float] = (0.0, 1.0)
    """Times between which guidance is on, inclusive, in our time (REPA's guidance_high 0.7 is [0.3, 1] here)."""

    @model_validator(mode="after")
    def _interval_of_the_guidance(self) -> "FlowSampler":
        low, high = self.interval
        if not 0.0 <= low <= high <= 1.0:
            raise ValueError(f"interval [{low}, {high}] must satisfy 0 <= low <= high <= 1")
        if self.guidance == 1.0:
            self.refuse("interval", where="at guidance: 1, which is off")
        return self

    def nfe(self) -> int:
        """Network evaluations per sample, with the second evaluation that guidance needs."""
        from reedbench.nn.guidance import evaluations

        return evaluations(self.uses, self.steps, self.guidance, self.interval)

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`x_1`, from `x_0` and `labels`."""
        import torch

        from reedbench.nn.guidance import guided
        from reedbench.nn.interpolants import INTERPOLANTS

        x_0, y = condition["x_0"], condition["labels"]
        conditional = guided(
            lambda x, t, labels: network(x, t, labels)[0], network.null_label, self.guidance, self.interval
        )

        running = streams("transitions")

        def noise(i: int) -> Any:
            # Samplers ask in order, so that each sample's stream runs on.
            return torch.from_numpy(running.normal(*x_0.shape[1:], dtype="float64")).to(x_0.device)

        path = INTERPOLANTS[objective.interpolant()]
        return {"x_1": self.run(lambda x, t, at: conditional(x, t, y, at=at), x_0, path=path, noise=noise)}

    @abstractmethod
    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data)."""
