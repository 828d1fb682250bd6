"""Dispersive loss: hidden states of different data are pushed apart, without an encoder. arXiv:2506.09027."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.objectives import FlowObjective


class Dispersive(FlowObjective):
    """The velocity loss plus the log of the mean exp(-distance / temperature) over the pairs of rows of a group."""

    cites: ClassVar[tuple[str, ...]] = ("wang2025dispersive",)
    uses: Literal["dispersive"] = "dispersive"

    depth: int = Field(1, ge=1)
    """Block whose output is dispersed, 1-based."""
    weight: float = Field(0.5, ge=0)
    """Coefficient of the term, of which log(1 / group) is the floor: where it rests there, the weight is too large."""
    temperature: float = Field(0.5, gt=0)
    """Scale of the squared distances, which are means over all channels of all tokens."""
    group: int = Field(16, ge=2)
    """Rows that are compared with each other; the paper's local batch."""

    def depths(self):
        return (self.depth,)

    def further(self):
        return {"dispersive": self.weight}

    def rows_per_group(self):
        return self.group

    def extra(self, hidden, batch):
        z = hidden[0].to(batch["x_1"].dtype).flatten(1).unflatten(0, (-1, self.group))
        distances = (z[:, :, None] - z[:, None]).square().mean(-1)
        value = (distances / -self.temperature).exp().mean((1, 2)).log()
        return {"dispersive": value.repeat_interleave(self.group)}
