"""Ancestral unmasking, one exact step of the masking process at a time: the sampler of REED's protein experiments."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from reedbench.nn.residues import VOCABULARY
from reedbench.samplers._unmasking import UnmaskingSampler


class Ancestral(UnmaskingSampler):
    """Residues are unmasked at random times and never masked again. Source: REED protein/fmif/fm_utils.py @0a4527e."""

    cites: ClassVar[tuple[str, ...]] = ("wang2025reed",)
    uses: Literal["ancestral"] = "ancestral"

    @model_validator(mode="after")
    def _the_same_from_any_time(self) -> "Ancestral":
        self.refuse("least_time", where="on ancestral")
        return self

    def run(self, predict: Any, weight: Any, uniforms: Callable[[int], Any]) -> Any:
        """One uniform number per token and step."""
        from reedbench.nn.unmasking_samplers import ancestral

        return ancestral(
            predict,
            weight,
            lambda step: uniforms(VOCABULARY),
            steps=self.steps,
            temperature=self.temperature,
            least=self.least_time,
            allow_unknown=self.allow_unknown,
        )
