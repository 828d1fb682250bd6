"""Purity sampling: residues of which the network is surest come first. Campbell et al. 2024, arXiv:2402.04997."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.samplers._unmasking import UnmaskingSampler


class Purity(UnmaskingSampler):
    """MultiFlow's sampler; residues are masked again now and then, so that early choices can be corrected."""

    cites: ClassVar[tuple[str, ...]] = ("campbell2024multiflow",)
    uses: Literal["purity"] = "purity"

    noise: float = Field(20.0, ge=0)
    """Rate at which residues are masked again; 0 never does, and needs far fewer network evaluations."""

    def run(self, predict: Any, weight: Any, uniforms: Callable[[int], Any]) -> Any:
        """Per step and residue one uniform number per token and two for the masks."""
        from reedbench.nn.unmasking_samplers import PURITY_DRAWS, purity

        return purity(
            predict,
            weight,
            lambda step: uniforms(PURITY_DRAWS),
            steps=self.steps,
            temperature=self.temperature,
            noise=self.noise,
            least=self.least_time,
            allow_unknown=self.allow_unknown,
        )
