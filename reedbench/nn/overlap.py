"""DiffROP: what a network predicts for a class and for another one is pushed apart up to a margin.

Source: arXiv:2402.10821, of which a summary was read: a contrastive term on KL(p(.|x_t, y) || p(.|x_t, y')), with a
margin. The distances are derived by us (`shared/specs/methods.md`, section 0).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import torch
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch, Others, Streams
from reedbench.nn.schedules import Factor

OVERLAP, CHANCE, OTHER, ELSEWHERE = "overlap", "other-chance", "other", "elsewhere"
Distance = Literal["noise", "velocity", "kl"]
Law = Literal["uniform", "empirical"]

# What a squared distance of velocities (b,) is multiplied by at times t (b,), on the linear path: `noise`, that of the
# noise that is predicted; `kl`, the divergence of two Euler-Maruyama steps with diffusion 2 (1 - t), over their length.
DISTANCES: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "noise": lambda t: t.square(),
    "velocity": torch.ones_like,
    "kl": lambda t: (1 + t).square() / (4 * (1 - t)),
}


def another(labels: Tensor, chance: Tensor, counts: Tensor) -> Tensor:
    """A class other than the row's own, drawn in proportion to `counts`; at equal chances where no other counts.

    Args:
        labels: (b,) classes.
        chance: (b,) uniform draws in [0, 1).
        counts: (classes,) by class.

    Returns:
        (b,) classes.
    """
    others = torch.arange(len(counts), device=labels.device) != labels[:, None]  # (b, classes)
    odds = others * counts.double()
    odds = torch.where(odds.sum(1, keepdim=True) > 0, odds, others.double())
    # Whole numbers add up without rounding, so that a draw never falls on a class of no weight.
    below = odds.cumsum(1)
    drawn = (below <= chance.double()[:, None] * below[:, -1:]).sum(1)
    # Rounding may take a draw of almost 1 to the end.
    last = torch.where(odds > 0, torch.arange(len(counts), device=labels.device), 0).amax(1)
    return torch.minimum(drawn, last)


class Overlapping(FlowLearner):
    """The velocity loss, and w(t) max(0, margin - d) with d = c(t) |v(x_t, t, y) - sg v(x_t, t, y')|^2 / values.

    The term is a mean over rows that kept their label; only the first prediction feels it.

    Args:
        network: see `FlowLearner`.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        overlap: factor of the term.
        margin: distance from which on predictions are far enough.
        distance: which c(t), see `DISTANCES`.
        time_weight: which w(t), likewise; `velocity` is 1.
        law: of y' among the other classes: `uniform`, or `empirical`, as often as the global batch has them.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        overlap: Factor,
        *,
        margin: float,
        distance: Distance,
        time_weight: Distance = "velocity",
        law: Law = "uniform",
    ) -> None:
        super().__init__(network, flow, denoise, {OVERLAP: overlap})
        self.margin, self.law = margin, law
        self.scale, self.time_weight = DISTANCES[distance], DISTANCES[time_weight]

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws, and by which chance the other class is chosen."""
        drawn = super().draw(batch, streams)
        return {**drawn, CHANCE: from_numpy(streams("other-label").uniform())}

    def counted(self, term: str, batch: Batch) -> float:
        """A row whose label was dropped has no class to be told from."""
        return float(self._labelled(batch).sum()) if term == OVERLAP else super().counted(term, batch)

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds `other`, (b,): the other class of every row."""
        classes, labels = self.flow.null_label, batch["labels"]
        counts = torch.ones(classes, dtype=torch.float64, device=labels.device)
        if self.law == "empirical":
            own = labels[:, None] == torch.arange(classes, device=labels.device)
            counts = total(own.double().sum(0)).to(labels.device)
        return {**batch, OTHER: another(labels, batch[CHANCE], counts)}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `elsewhere`, (b, ...): what the network predicts for the other class."""
        if not self.computes(OVERLAP):
            return batch
        x_t, t, _ = self.flow.inputs(batch)
        velocity, _ = others.online(x_t, t, batch[OTHER], wanted=[])
        return {**batch, ELSEWHERE: velocity}

    def distances(self, velocity: Tensor, batch: Batch) -> Tensor:
        """How far predictions (b, ...) are from those for other classes: (b,)."""
        dtype = batch["x_1"].dtype
        apart = (velocity.to(dtype) - batch[ELSEWHERE].to(dtype)).square().flatten(1).mean(1)
        return self.scale(batch["t"]) * apart

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """The term of every row; 0 without label."""
        short = (self.margin - self.distances(batch["velocity"], batch)).clamp(min=0)
        return {OVERLAP: self.time_weight(batch["t"]) * short * self._labelled(batch)}

    def _labelled(self, batch: Batch) -> Tensor:
        return batch["y"] != self.flow.null_label
