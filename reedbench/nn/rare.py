"""RARE: alignment that looks at the tokens that are aligned worst, and lets go when it stops gaining.

Source: RARE (cited in August 2026), as far as its text says; no code is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reedbench.nn.aligned import AlignedLearner
from reedbench.nn.alignment import AlignedNetwork, cosine
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor, factor

NEVER, GAINING = -2, -1  # as `released`: the fast average has never beaten the slow one; it does


@dataclass(frozen=True)
class Release:
    """When the alignment lets go.

    Attributes:
        fast: decay of the fast average of eta = (1 - cos) / 2.
        slow: of the slow one.
        margin: by how much the fast one must be smaller.
        ramp: steps in which the factor goes from 1 to 0, as half a cosine wave.
        latest: step at which that begins at the latest.
    """

    fast: float
    slow: float
    margin: float
    ramp: int
    latest: int

    def factor(self, step: int | None = None) -> Factor:
        """The factor over training, released at a step or at the latest."""
        return factor("cosine-decay", self.latest if step is None else min(step, self.latest), self.ramp)


def token_weights(eta: Tensor, clip: float) -> Tensor:
    """Weights (b, n) of tokens with mean 1 in each row: eta over its mean in the row, within 1 / clip and clip."""
    weights = (eta / eta.mean(1, keepdim=True).clamp(min=torch.finfo(eta.dtype).tiny)).clamp(1 / clip, clip)
    return weights / weights.mean(1, keepdim=True)


class RareLearner(AlignedLearner):
    """One alignment of tokens, weighted by how badly each is aligned, and released.

    Both averages begin at the eta of the first step, so that neither beats the other then: the release is one from
    gaining to not gaining. They are those of the global batch, and equal on all ranks.
    """

    def __init__(
        self, network: AlignedNetwork, flow: FlowMatching, denoise: Factor, release: Release, clip: float
    ) -> None:
        super().__init__(network, flow, denoise, release.factor())
        (self.tap,) = network.taps
        self.release, self.clip = release, clip
        self.fast, self.slow, self.released = 0.0, 0.0, NEVER
        self.measured = torch.zeros(2, dtype=torch.float64)  # sum of eta over rows of this rank and step, and how many
        self.begun = False

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Negative cosines with their weights over tokens and over time."""
        tap, found = self.tap, cosine(hidden[0], batch[self.tap.aligned])
        eta = (1 - found.detach()) / 2
        if self.released < 0:
            rows = eta.double().mean(1)
            self.measured = self.measured.to(rows.device) + torch.stack([rows.sum(), rows.new_tensor(len(rows))])
        return {tap.term: -(token_weights(eta, self.clip) * found).mean(1) * batch[f"tau/{tap.term}"]}

    def settled(self, step: int, total: Callable[[Tensor], Tensor]) -> None:
        """Both averages move on, and it may be time to let go from the next step on."""
        if self.released >= 0 or not self.computes(self.tap.term):
            return
        summed, rows = total(self.measured).tolist()
        self.measured = torch.zeros_like(self.measured)
        eta, one = summed / rows, self.release
        self.fast = one.fast * self.fast + (1 - one.fast) * eta if self.begun else eta
        self.slow = one.slow * self.slow + (1 - one.slow) * eta if self.begun else eta
        self.begun = True
        if self.fast < (1 - one.margin) * self.slow:
            self.released = GAINING
        elif self.released == GAINING:
            self._let_go(step + 1)

    def _let_go(self, step: int) -> None:
        self.released = min(step, self.release.latest)
        self.factors = {**self.factors, self.tap.term: self.release.factor(step).times(self.tap.weight)}

    def state(self) -> dict[str, Tensor]:
        """Both averages, the release, and what is measured of a step that is not settled."""
        numbers = torch.tensor([self.fast, self.slow], dtype=torch.float64)
        told = torch.tensor([self.released, int(self.begun)])
        return {"averages": numbers, "released": told, "measured": self.measured.clone()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave."""
        self.fast, self.slow = tensors["averages"].tolist()
        self.released, begun = tensors["released"].tolist()
        self.begun, self.measured = bool(begun), tensors["measured"]
        self.factors = {**self.factors, self.tap.term: self.release.factor().times(self.tap.weight)}
        if self.released >= 0:
            self._let_go(self.released)
