"""A stranger's loss: long tokens cost, and so do tokens that are longer than those of the next row."""

from typing import ClassVar, Literal

from pydantic import Field

from reedbench.objectives import FlowObjective


class TokenNorm(FlowObjective):
    """The velocity loss plus the mean square of hidden states, and of differences of their norms within a group."""

    cites: ClassVar[tuple[str, ...]] = ("ma2024sit",)
    uses: Literal["token-norm"] = "token-norm"

    depth: int = Field(1, ge=1)
    """Block whose output is penalised, 1-based."""
    weight: float = Field(0.01, ge=0)
    """Coefficient of both terms."""
    group: int = Field(4, ge=2)
    """Rows whose norms are compared with each other."""

    def depths(self):
        return (self.depth,)

    def further(self):
        return {"norm": self.weight, "spread": self.weight}

    def rows_per_group(self):
        return self.group

    def extra(self, hidden, batch):
        norm = hidden[0].square().flatten(1).mean(1)
        groups = norm.unflatten(0, (-1, self.group))
        spread = (groups - groups.mean(1, keepdim=True)).square().mean(1)
        return {"norm": norm, "spread": spread.repeat_interleave(self.group)}
