"""Published checkpoints of SiT, REPA and REED as methods: sampled, scored and tabulated as runs that are trained here.

Source: SiT sample_ddp.py and train.py @947f95b, REPA generate.py @67f7145, REED generate.py @0a4527e (layouts).
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from reedbench.core.pins import Weights
from reedbench.objectives import AbstractMethod

LAST_STEP = 9_999_999  # what a path can say


class Imported(AbstractMethod):
    """Weights of a SiT, REPA or REED network that were trained elsewhere, at the step at which they were published.

    They stand under every seed of the benchmark: the same weights, with the sampling noise of that seed, so that they
    are paired with other methods. Bounds over seeds are then those of sampling alone. What training them took is not
    known: they have no curve and take no part in speed-ups.
    """

    domain: ClassVar[str] = "image"
    cites: ClassVar[tuple[str, ...]] = ("ma2024sit", "yu2025repa", "wang2025reed")
    unkeyed: ClassVar[frozenset[str]] = frozenset({"step", "batch"})
    weights_are: ClassVar[str] = "imported"
    uses: Literal["imported"] = "imported"

    weights: Weights = Field(examples=["sit-xl-2-256"])
    """Pinned weights, or a path: a state dict or a training checkpoint of SiT, REPA or REED, of which the average is
    taken. `reedbench import-checkpoint FILE` says what a file is."""
    step: int = Field(ge=1, le=LAST_STEP, examples=[7_000_000])
    """Training step of the weights; the only one at which the method is sampled and scored."""
    time: Literal["sit", "repa"] = Field(examples=["sit"])
    """Direction of the authors' time: `sit` from noise to data, as here; `repa` (REPA and REED) from data to noise."""
    path: Literal["linear", "gvp"] = "linear"
    """Interpolant that the network was trained on; `gvp` is the path `cosine` of REPA and REED."""
    batch: int = Field(256, ge=1)
    """The authors' global batch: the table's samples_seen is `step` times this."""

    def own_step(self) -> int:
        """The step of the weights."""
        return self.step

    def samples_seen(self) -> int:
        """Of its authors' training."""
        return self.step * self.batch

    def words(self) -> dict[str, Any]:
        """With what no key of its weights holds."""
        return {**super().words(), "step": self.step, "batch": self.batch}

    def interpolant(self) -> str:
        """The path."""
        return self.path
