"""The adaptive method of Dormand and Prince for the flow ODE: SiT's default for it. arXiv:2401.08740."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.errors import ConfigError
from reedbench.samplers import EVALUATIONS, Streams
from reedbench.samplers._flow import GuidedSampler, Sampled


class Dopri5(GuidedSampler):
    """Order 5, with steps of its own choice: tables show the mean number of network evaluations that were made.

    An interval of guidance cuts time into stretches, each of which is integrated on its own.
    """

    cites: ClassVar[tuple[str, ...]] = (*GuidedSampler.cites, "dormand1980runge")
    uses: Literal["dopri5"] = "dopri5"

    rtol: float = Field(1e-3, gt=0, lt=1)
    """Error allowed in a step relative to the state; SiT's default."""
    atol: float = Field(1e-6, gt=0, lt=1)
    """Error allowed in a step absolutely; SiT's default."""
    norm: Literal["sample", "reference"] = "sample"
    """Over what the error of a step is a root mean square: `sample`, each with its own steps, so that it is the same in
    any batch; `reference` all samples of a network call in the same steps, as SiT by torchdiffeq: a sample depends on
    those that it was drawn with, `sampling.batch` on every sample."""

    @property
    def couples(self) -> bool:
        """Under the reference's norm."""
        return self.norm == "reference"

    def nfe(self, objective: Any) -> None:
        """Known only once samples are drawn."""
        return None

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`x_1` and `evaluations`, a guided one counting twice, from `x_0` and `labels`."""
        state = Sampled(objective, condition["x_0"], streams)
        velocity = self.velocity(network, condition["labels"], objective, state.guided)
        end, made = self._followed(velocity, state.begun, self.doubling(objective))
        return {"x_1": state.data(end), EVALUATIONS: made}

    def run(self, velocity: Any, x_0: Any, *, path: Any, noise: Any) -> Any:
        """x_0 (noise) -> x_1 (data); neither the path's schedule nor further noise is needed."""
        return self._followed(velocity, x_0, self.guidance)[0]

    def _followed(self, velocity: Any, x_0: Any, doubling: float) -> tuple[Any, Any]:
        """x_1, and the evaluations that each sample took (b,).

        Raises:
            ConfigError: torchdiffeq is needed, and is not installed.
        """
        from reedbench.nn.adaptive import followed

        try:
            return followed(velocity, x_0, doubling, self.interval, by=self.norm, rtol=self.rtol, atol=self.atol)
        except ImportError as error:
            raise ConfigError(
                "sampler dopri5 with norm: reference needs torchdiffeq: pip install 'reedbench[image]'"
            ) from error
