"""TDC: the velocity loss of several networks, of which each row trains the one that its time belongs to.

Source: arXiv:2312.13307; see `nn.backbones.grouped`.
"""

import torch

from reedbench.nn.flow import FlowLearner
from reedbench.nn.learner import Batch


class Grouped(FlowLearner):
    """Every row counts alike, whichever network it trains: the loss is no mean over groups."""

    def typical(self, batch: Batch) -> Batch:
        """With times in equal steps through their law, so that every network has its share of the rows."""
        t = batch["t"]
        steps = (torch.arange(len(t), dtype=torch.float64) + 0.5) / max(1, len(t))
        return {**batch, "t": self.flow.quantiles(steps).to(t)}
