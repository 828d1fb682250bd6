"""An image and a map of its features generated together: ReDi. Source: arXiv:2504.16064."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowLearner
from reedbench.nn.joint import JointFlow, clean
from reedbench.nn.learner import Batch, Streams
from reedbench.nn.schedules import Factor

FEATURES = "features"  # the companion of the data, its loss term, and the names of its streams
DROPPED, KEPT = "features-dropout", "features-kept"


def as_map(tokens: Tensor, side: int) -> Tensor:
    """Tokens (b, n, k) of a square grid, row by row -> (b, k, side, side), bilinearly where the grid is another one."""
    grid = math.isqrt(tokens.shape[1])
    found = tokens.transpose(1, 2).unflatten(2, (grid, grid))
    return found if grid == side else F.interpolate(found, (side, side), mode="bilinear", align_corners=False)


class JointFeaturesLearner(FlowLearner):
    """|v - v*|^2 + weight |v_f - (f_1 - f_0)|^2; errors are means over entries.

    In a share `drop` of the steps the map is 0 before it is noised, and its loss does not count: one draw for all rows,
    the fraction of the sum of a number of each row. That is uniform, and the same however rows lie on ranks.
    """

    flow: JointFlow

    def __init__(
        self, network: Any, flow: JointFlow, denoise: Factor, encoder: str, weight: float, drop: float
    ) -> None:
        super().__init__(network, flow, denoise, {FEATURES: denoise.times(weight)})
        self.encoder, self.drop = encoder, drop

    def reads(self) -> tuple[str, ...]:
        """The encoder of the map, which the network reads at all steps."""
        return (self.encoder,)

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """With each row's share of the draw."""
        shares = from_numpy(streams(DROPPED).uniform()).to(batch["x_1"].device)
        return {**super().draw(batch, streams), DROPPED: shares}

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds the clean map, or 0, and whether it counts. Sums of these numbers are exact in float64."""
        drawn = total(batch[DROPPED].double().sum()[None]).to(batch["t"].device).remainder(1.0)
        kept = (drawn >= self.drop).to(batch["t"].dtype)
        found = as_map(batch[f"target/{self.encoder}"], batch["x_1"].shape[-1])
        return {**batch, clean(FEATURES): found * kept, KEPT: kept.expand_as(batch["t"])}

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """The error of the map's velocity."""
        return {FEATURES: self.flow.errors(batch["velocity"], batch)[FEATURES] * batch[KEPT]}

    def wanted(self) -> list[int]:
        """No hidden states."""
        return []
