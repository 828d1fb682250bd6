"""Metrics that look into the network share this: at which block, and at which time."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.metrics import AbstractMetric


class InsideMetric(AbstractMetric):
    """A number about hidden states of real images that are noised: the same under every sampler of a checkpoint."""

    domain: ClassVar[str | None] = "image"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"

    tap: Literal["first", "depth"] = "first"
    """Which block: the first one that the method aligns, or that of `depth` for every method."""
    depth: int = Field(2, ge=1)
    """Block, 1-based, of methods that align none; with `tap: depth` of all."""
    at: float = Field(0.8, ge=0, le=1)
    """Time to which images are noised: 0 is noise, 1 the image."""

    def blocks(self) -> tuple[int, ...]:
        """The depth."""
        return (self.depth,)
