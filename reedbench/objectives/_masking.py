"""What masking diffusion of protein sequences has as settings, whatever stands beside its denoising loss.

Source: REED, arXiv:2507.08980; protein/fmif/{model_utils,train_fmif}.py @0a4527e.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.constants import LOSS_DIVISOR
from reedbench.objectives import AbstractObjective


class Masking(AbstractObjective):
    """Denoising of masked residues."""

    domain: ClassVar[str] = "protein"

    smoothing: float = Field(0.1, ge=0, lt=1)
    """Label smoothing over the 22 tokens."""
    least_time: float = Field(0.01, gt=0, lt=0.5)
    """Times are uniform between this and 1 minus this."""
    divisor: float | None = Field(LOSS_DIVISOR, gt=0)
    """The sum over residues is divided by it, as in ProteinMPNN and REED; null takes the mean over residues."""
    time_weight: Literal["constant", "schedule"] = "constant"
    """`schedule` divides by 4.605 (1 - t), REED's optional weight."""
    masked_only: bool = False
    """The denoising loss counts masked residues only; REED counts all."""
    coordinate_noise: float = Field(0.1, ge=0)
    """Standard deviation of the noise on coordinates during training, in Angstrom."""

    def denoising(self) -> Any:
        """The `nn.masked_diffusion.Denoising`."""
        from reedbench.nn.masked_diffusion import Denoising

        return Denoising(
            self.smoothing, self.least_time, self.divisor, self.time_weight, self.masked_only, self.coordinate_noise
        )
