"""Contrastive flow matching: the velocity is pushed away from the target of another row.

Source: DeltaFM, arXiv:2506.05350, and its released code.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch, Streams
from reedbench.nn.schedules import Factor

CONTRAST = "contrast"
OTHER = "other"  # (b,) int64: place inside its group of the row whose target is the negative; -1 where there is none


class ContrastiveLearner(FlowLearner):
    """The velocity loss, and minus the squared error to the target of another row of the group.

    The negative is x_1 - x_0 of that row (its data and its noise), on other paths the velocity at the row's own time.
    The term is a mean over the rows that have a negative.

    Args:
        network: as in `FlowLearner`.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        contrast: factor of the term.
        group: consecutive rows among which the negative is drawn.
        other_class: the negative is of another class; a row that has none in its group has no negative.
        null_rows: whether rows without label have one.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        contrast: Factor,
        group: int,
        *,
        other_class: bool,
        null_rows: bool,
    ) -> None:
        super().__init__(network, flow, denoise, {CONTRAST: contrast}, group=group)
        self.other_class, self.null_rows = other_class, null_rows

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the row that each row is contrasted with, drawn by its own stream inside its group."""
        batch = super().draw(batch, streams)
        labels = batch["labels"].unflatten(0, (-1, self.group))
        allowed = ~torch.eye(self.group, dtype=torch.bool).expand(len(labels), -1, -1)
        if self.other_class:
            allowed = allowed & (labels[:, :, None] != labels[:, None]).cpu()
        drawn = torch.from_numpy(streams("negative").uniform()).unflatten(0, (-1, self.group))
        return {**batch, OTHER: chosen(drawn, allowed).flatten().to(batch["labels"].device)}

    def counted(self, term: str, batch: Batch) -> float:
        """Rows that have a negative."""
        return float(self._has(batch).sum()) if term == CONTRAST else super().counted(term, batch)

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Minus the squared error to the negative, 0 where there is none."""
        place = batch[OTHER].clamp(min=0)
        rows = torch.arange(len(place), device=place.device) // self.group * self.group + place
        negative = {**batch, "x_1": batch["x_1"][rows], "x_0": batch["x_0"][rows]}
        return {CONTRAST: -self.flow.error(batch["velocity"], negative) * self._has(batch)}

    def _has(self, batch: Batch) -> Tensor:
        has = batch[OTHER] >= 0
        return has if self.null_rows else has & (batch["y"] != self.flow.null_label)


def chosen(drawn: Tensor, allowed: Tensor) -> Tensor:
    """One of the allowed places, each as likely: (..., g) numbers of U[0, 1) and (..., g, g) -> (..., g) int64.

    -1 where none is allowed.
    """
    number = allowed.sum(-1)
    rank = (drawn * number).long().minimum(number - 1)  # 0 is the first allowed place; -1 where there is none
    place = (allowed & (allowed.cumsum(-1) == rank[..., None] + 1)).long().argmax(-1)
    return torch.where(number > 0, place, -1)
