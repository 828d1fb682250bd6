"""Losses from which a network learns its guidance: sampling then takes one evaluation per step.

Source: MG, arXiv:2502.12154, equation 10 and train.py of its release (both terms of the shift from the average, its
gate in time); GFT, arXiv:2501.15420, equation 9.
"""

from typing import Any

import torch
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch, Others, Streams
from reedbench.nn.schedules import Factor

SHIFT, OTHER, SCALE, NULL = "shift", "other", "scale", "null"


def squared(difference: Tensor) -> Tensor:
    """Mean square of every row, (b, ...) -> (b,)."""
    return difference.square().flatten(1).mean(1)


def spread(rows: int, share: float) -> Tensor:
    """(rows,) bool: a share of them, to the nearest whole row, evenly between the others."""
    chosen = round(rows * share)
    ends = torch.arange(rows + 1) * chosen // max(1, rows)
    return ends[1:] > ends[:-1]


class Guided(FlowLearner):
    """MG: the velocity that is predicted is moved by (s - 1) (v(y) - v(null)) of the weight average.

    Rows without label, and those at times up to 1 - high, keep their plain target and are not looked up.

    Args:
        network: see `FlowLearner`.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        scale: s.
        start: first step at which targets are moved.
        high: share of time, from the data's end, in which they are.
        contrastive: another label stands in place of the null label, drawn anew for every row.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        *,
        scale: float,
        start: int,
        high: float,
        contrastive: bool = False,
    ) -> None:
        super().__init__(network, flow, denoise)
        self.scale, self.start, self.high, self.contrastive = scale, start, high, contrastive

    def phases(self) -> tuple[int, ...]:
        """With the first step that looks up the average."""
        return tuple(sorted({*super().phases(), self.start}))

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws, and `other`, the label that each row is moved away from."""
        batch = super().draw(batch, streams)
        nothing = torch.full_like(batch["labels"], self.flow.null_label)
        return {**batch, OTHER: self._another(batch["labels"], streams) if self.contrastive else nothing}

    def _another(self, labels: Tensor, streams: Streams) -> Tensor:
        classes = self.flow.null_label
        ahead = 1 + (from_numpy(streams("other-label").uniform()) * (classes - 1)).long().clamp(max=classes - 2)
        return (labels + ahead.to(labels.device)) % classes

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `shift`, by how much the target is moved: (b, ...)."""
        rows = self._moved(batch) if step >= self.start else batch["t"].new_empty(0, dtype=torch.long)
        shift = torch.zeros_like(batch["x_1"])
        if len(rows):
            difference = self._difference({name: x[rows] for name, x in batch.items()}, others)
            shift = shift.index_put((rows,), difference.to(shift.dtype))
        return {**batch, SHIFT: shift}

    def typical(self, batch: Batch) -> Batch:
        """With as many rows to be moved as there are in the mean."""
        moved = spread(len(batch["t"]), self.share_moved()).to(batch["t"].device)
        late = batch["t"].new_full((), 1 - self.high / 2)
        y = torch.where(moved, batch["labels"], self.flow.null_label)
        return {**batch, "t": torch.where(moved, late, batch["t"]), "y": y}

    def share_moved(self) -> float:
        """Of rows whose target is moved, from `start` on."""
        return (1 - self.flow.label_dropout) * self.flow.share_behind(1 - self.high)

    def _moved(self, batch: Batch) -> Tensor:
        """Numbers of the rows whose target is moved."""
        return ((batch["y"] != self.flow.null_label) & (batch["t"] > 1 - self.high)).nonzero()[:, 0]

    def _difference(self, batch: Batch, others: Others) -> Tensor:
        """By how much, of these rows; one call of the average."""
        x, t, y = self.flow.inputs(batch)
        towards, away = _pair(others, (x, x), (t, t), (y, batch[OTHER])).chunk(2)
        return (self.scale - 1) * (towards - away)

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Against the moved target."""
        target = self.flow.target(batch) + batch[SHIFT]
        return squared(velocity.to(target.dtype) - target)


class GuidedByInput(Guided):
    """MG with the scale as an input of the network.

    A share of all rows is guided by s ~ U[low, high] of `between`; of the others, those without label read s = 0 and
    those with one s = 1. The average is asked at (y, 1) and (null, 0). Before `start` no row is guided.

    Args:
        network: it takes `scale` (b,).
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        between: least and largest scale of guided rows.
        share: of guided rows among all.
        settings: `start` and `high`, as in `Guided`.
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        *,
        between: tuple[float, float],
        share: float,
        **settings: Any,
    ) -> None:
        super().__init__(network, flow, denoise, scale=between[1], **settings)
        self.between, self.share = between, share

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds `scale` (b,): what each row reads from `start` on."""
        batch = super().draw(batch, streams)
        low, high = self.between
        labelled = batch["y"] != self.flow.null_label
        share = self.share / (1 - self.flow.label_dropout)  # among rows with a label
        chosen = from_numpy(streams("guided").uniform() < share).to(labelled.device)
        drawn = low + (high - low) * from_numpy(streams("scale").uniform()).to(labelled.device)
        return {**batch, SCALE: torch.where(labelled & chosen, drawn, labelled.to(drawn.dtype))}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """As above; before `start` every row with a label reads 1."""
        if step < self.start:
            batch = {**batch, SCALE: batch[SCALE].clamp(max=1)}
        return super().looked_up(batch, step, others)

    def named(self, batch: Batch) -> dict[str, Tensor]:
        """The scale."""
        return {SCALE: batch[SCALE]}

    def typical(self, batch: Batch) -> Batch:
        """Those that are moved read the largest scale."""
        batch = super().typical(batch)
        guided = batch["y"] != self.flow.null_label
        return {**batch, SCALE: torch.where(guided, self.between[1], 0.0).to(batch[SCALE])}

    def share_moved(self) -> float:
        """Guided ones alone."""
        return self.share * self.flow.share_behind(1 - self.high)

    def _moved(self, batch: Batch) -> Tensor:
        rows = super()._moved(batch)
        return rows[batch[SCALE][rows] > 1]

    def _difference(self, batch: Batch, others: Others) -> Tensor:
        x, t, y = self.flow.inputs(batch)
        one = torch.ones_like(batch[SCALE])
        towards, away = _pair(others, (x, x), (t, t), (y, batch[OTHER]), scale=torch.cat([one, 0 * one])).chunk(2)
        weight = (batch[SCALE] - 1).view(-1, *[1] * (towards.dim() - 1))
        return weight * (towards - away)


class GuidanceFree(FlowLearner):
    """GFT: |b v(y, b) + (1 - b) sg v(null, 1) - v*|^2 with b ~ U[0, 1], an input of the network.

    Its v(y, b) is v(null) + (v(y) - v(null)) / b: that of guidance 1 / b. Rows without label have b = 1, and so train
    the branch that the others lean on. It is the network of now, not the average.
    """

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds `scale` (b,): b of every row."""
        batch = super().draw(batch, streams)
        drawn = from_numpy(streams("scale").uniform()).to(batch["t"].device)
        return {**batch, SCALE: drawn.masked_fill(batch["y"] == self.flow.null_label, 1.0)}

    def typical(self, batch: Batch) -> Batch:
        """With as many rows with a label as there are in the mean."""
        labelled = spread(len(batch["t"]), 1 - self.flow.label_dropout).to(batch["t"].device)
        return {**batch, SCALE: torch.where(labelled, 0.5, 1.0).to(batch[SCALE])}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `null`, what the network says without label at b = 1: (b, ...); of rows that need it."""
        rows = (batch[SCALE] < 1).nonzero()[:, 0]
        null = torch.zeros_like(batch["x_1"])
        if len(rows):
            x, t, y = self.flow.inputs({name: tensor[rows] for name, tensor in batch.items()})
            nothing, ones = torch.full_like(y, self.flow.null_label), torch.ones_like(batch[SCALE][rows])
            null = null.index_put((rows,), self.network(x, t, nothing, wanted=[], scale=ones)[0].to(null.dtype))
        return {**batch, NULL: null}

    def named(self, batch: Batch) -> dict[str, Tensor]:
        """b."""
        return {SCALE: batch[SCALE]}

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Of the mixture of both branches."""
        target = self.flow.target(batch)
        b = batch[SCALE].view(-1, *[1] * (target.dim() - 1))
        return squared(b * velocity.to(target.dtype) + (1 - b) * batch[NULL] - target)


def _pair(others: Others, *inputs: tuple[Tensor, Tensor], **named: Tensor) -> Tensor:
    """What the average says of two batches, in one call."""
    velocity: Tensor = others.average(*(torch.cat(both) for both in inputs), wanted=[], **named)[0]
    return velocity
