"""Euler's method for molecules as joint states: places along their velocity, classes by their chances. SemlaFlow's.

Source: SemlaFlow, arXiv:2406.07266; REED molecule/semlaflow/flowmodels/fm.py:25-172,974-1046 @0a4527e.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.samplers import AbstractSampler, Streams


class JointEuler(AbstractSampler):
    """All parts of a molecule step by step; the sample is the last prediction, its likeliest classes."""

    domain: ClassVar[str] = "molecule"
    guidance: ClassVar[float] = 1.0
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow",)
    uses: Literal["joint-euler"] = "joint-euler"

    steps: int = Field(100, ge=1)
    """Number of steps; one network evaluation each."""
    grid: Literal["log", "linear"] = "log"
    """Times: `linear`, or `log`, at distances from 1 in geometric progression down to 0.01, as SemlaFlow is
    evaluated."""
    noise: float = Field(1.0, ge=0)
    """Rate eta at which classes are changed beyond need, so that early choices can be corrected; what was trained with
    `classes: dirichlet` has none, so that only 1 is allowed then."""

    def unfit(self, objective: Any) -> str | None:
        """It follows flows; chances from a Dirichlet law know no noise."""
        if getattr(objective, "process", None) != "flow":
            return f"{objective.uses} trains no flow of molecules; take molecule-ancestral"
        idle = objective.classes == "dirichlet" and self.noise != type(self).model_fields["noise"].default
        return "noise has no effect on an objective with classes: dirichlet; leave it out" if idle else None

    def nfe(self, objective: Any) -> int:
        """Steps."""
        return self.steps

    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """`coordinates`, `types`, `charges` and `bonds`, from `mask`; the network's own classes."""
        from reedbench.nn.molecule_state import generated
        from reedbench.nn.samplers import log_grid, ode_grid

        mask, parts = condition["mask"], objective.parts(network)
        times = (log_grid if self.grid == "log" else ode_grid)(self.steps)
        found = generated(network, parts, parts.prior(streams, mask), mask, times, streams, self.noise)
        classes = {name: getattr(found, name).argmax(-1) for name in ("types", "charges", "bonds")}
        return {"coordinates": found.coordinates.float(), **classes}
