"""Published checkpoints of SiT, REPA and REED as methods: sampled, scored and tabulated as runs that are trained here.

Source: SiT sample_ddp.py and train.py @947f95b, REPA generate.py @67f7145, REED generate.py @0a4527e (layouts).
"""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from reedbench.core.pins import Weights
from reedbench.objectives import ImportedMethod
from reedbench.objectives._card import Card, Tier


class Imported(ImportedMethod):
    """Weights of a SiT, REPA or REED network that were trained elsewhere, at the step at which they were published.

    They stand under every seed of the benchmark: the same weights, with the sampling noise of that seed, so that they
    are paired with other methods. Bounds over seeds are then those of sampling alone. What training them took is not
    known: they have no curve and take no part in speed-ups.
    """

    domain: ClassVar[str] = "image"
    tier: ClassVar[Tier] = "faithful"
    source: ClassVar[str] = "layouts: SiT sample_ddp.py and train.py @947f95b, REPA generate.py @67f7145, REED @0a4527e"
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "yu2025repa", "wang2025reed")
    uses: Literal["imported"] = "imported"

    weights: Weights = Field(examples=["sit-xl-2-256"])
    """Pinned weights, or a path: a state dict or a training checkpoint of SiT, REPA or REED, of which the average is
    taken. `reedbench import-checkpoint FILE` says what a file is."""
    time: Literal["sit", "repa"] = Field(examples=["sit"])
    """Direction of the authors' time: `sit` from noise to data, as here; `repa` (REPA and REED) from data to noise."""
    path: Literal["linear", "gvp"] = "linear"
    """Interpolant that the network was trained on; `gvp` is the path `cosine` of REPA and REED."""

    def card(self) -> Card:
        """By the direction of time, which SiT and the others differ in."""
        return replace(super().card(), cites=self.cites[:1] if self.time == "sit" else self.cites[1:])

    def interpolant(self) -> str:
        """The path."""
        return self.path
