"""TDC on proteins: masking diffusion by several networks, of which each chain trains the one of what it shows.

Source: arXiv:2312.13307; see `nn.backbones.grouped_mpnn`.
"""

from collections.abc import Callable
from typing import Any, Final

import torch

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.backbones.grouped_mpnn import GroupedMPNN
from reedbench.nn.learner import Batch, Streams
from reedbench.nn.masked_diffusion import Denoising, DesignLearner
from reedbench.nn.schedules import Factor

GROUP: Final = "group"  # of a batch: number of the network of each chain (b,)


class GroupedDesignLearner(DesignLearner):
    """The denoising loss; every residue counts alike, whichever network its chain trains.

    Args:
        network: around a `GroupedMPNN`.
        settings: of the denoising loss.
    """

    def __init__(self, network: TappedNetwork, settings: Denoising) -> None:
        super().__init__(network, settings, Factor(), Factor())

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds `GROUP`."""
        batch = super().draw(batch, streams)
        return {**batch, GROUP: self._groups.group_of(batch["noisy"], batch["mask"])}

    def typical(self, batch: Batch) -> Batch:
        """With as many chains of each network, to within one: what a chain costs depends on nothing else of it."""
        rows = len(batch[GROUP])
        steps = (torch.arange(rows, device=batch[GROUP].device) * 2 + 1) * len(self._groups.groups)
        return {**batch, GROUP: steps // max(1, 2 * rows)}

    def passed(self, batch: Batch, network: Callable[..., Any], wanted: list[int] | None, **named: Any) -> Any:
        """By the networks of the chains."""
        return super().passed(batch, network, wanted, own=batch[GROUP], **named)

    @property
    def _groups(self) -> GroupedMPNN:
        groups: GroupedMPNN = self.network.backbone
        return groups
