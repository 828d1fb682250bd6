"""Losses by which a network that reads the scale of guidance learns from a frozen teacher: its guidance, its steps.

Source: guided distillation, arXiv:2210.03142, section 3; progressive distillation, arXiv:2202.00512, algorithm 2, and
its code google-research/diffusion_distillation dpm.py (weights, grid). On the linear path its DDIM step is Euler's, and
its target the mean of the two velocities of the teacher.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch, Others, Streams
from reedbench.nn.schedules import Factor

AIM, SCALE = "aim", "scale"


def snr_weight(t: Tensor) -> Tensor:
    """max(SNR, 1) |data|^2 as a weight of |velocity|^2: max(t^2, (1 - t)^2), (b,)."""
    return torch.maximum(t.square(), (1 - t).square())


WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {"velocity": torch.ones_like, "snr": snr_weight}


class ScaledStudent(FlowLearner):
    """|v(x_t, t, y, s) - aim|^2 with a weight over time: what the aim is, a subclass looks up. Labels are not dropped.

    Args:
        network: reads x_t, t, y and `scale`, see `FlowLearner`.
        flow: draws, without dropping labels.
        denoise: factor of the loss.
        between: least and largest scale; each row has its own, uniform between them.
        weight: over time, (b,) -> (b,).
    """

    def __init__(
        self,
        network: Any,
        flow: FlowMatching,
        denoise: Factor,
        *,
        between: tuple[float, float],
        weight: Callable[[Tensor], Tensor] = torch.ones_like,
    ) -> None:
        super().__init__(network, flow, denoise)
        self.between, self.weight = between, weight

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws, and `scale` (b,), from a stream of its own."""
        low, high = self.between
        scale = low + (high - low) * from_numpy(streams("guidance-scale").uniform())
        return {**super().draw(batch, streams), SCALE: scale.to(batch["x_1"].dtype)}

    def named(self, batch: Batch) -> dict[str, Tensor]:
        """The scale."""
        return {SCALE: batch[SCALE]}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `aim` (b, ...), in the precision of the data."""
        return {**batch, AIM: self.aim(batch, others).to(batch["x_1"].dtype)}

    def aim(self, batch: Batch, others: Others) -> Tensor:
        """The velocity that the student shall have, (b, ...)."""
        return guided_teacher(*self.flow.inputs(batch), batch[SCALE], self.flow.null_label, others)

    def error(self, velocity: Tensor, batch: Batch) -> Tensor:
        """Weighted squared distance to the aim, mean over everything but the batch: (b,)."""
        aim = batch[AIM]
        return self.weight(batch["t"]) * (velocity.to(aim.dtype) - aim).square().flatten(1).mean(1)


def guided_teacher(x: Tensor, t: Tensor, y: Tensor, scale: Tensor, null_label: int, others: Others) -> Tensor:
    """v(null) + s (v(y) - v(null)) of the teacher, in one call on the doubled batch."""
    labels = torch.cat([y, torch.full_like(y, null_label)])
    conditional, unconditional = others.teacher(torch.cat([x, x]), torch.cat([t, t]), labels)[0].chunk(2)
    s = scale.view(-1, *[1] * (x.dim() - 1)).to(conditional.dtype)
    return unconditional + s * (conditional - unconditional)


class HalvedSteps(ScaledStudent):
    """A step of the student is two of the teacher, which reads the same scale; times are the starts of its steps.

    Args:
        steps: M, the student's number of steps, each of 1 / M.
        more: see `ScaledStudent`.
    """

    def __init__(self, network: Any, flow: FlowMatching, denoise: Factor, *, steps: int, **more: Any) -> None:
        super().__init__(network, flow, denoise, **more)
        self.steps = steps

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """As before, with t moved down to i / M: i is uniform in 0 .. M - 1, as t is in [0, 1)."""
        batch = super().draw(batch, streams)
        i = (batch["t"] * self.steps).floor().clamp(max=self.steps - 1)
        return {**batch, "t": i / self.steps}

    def aim(self, batch: Batch, others: Others) -> Tensor:
        """The mean of the teacher's velocities along two Euler steps."""
        (x, t, y), half = self.flow.inputs(batch), 0.5 / self.steps
        first = others.teacher(x, t, y, scale=batch[SCALE])[0].to(x.dtype)
        second = others.teacher(x + half * first, t + half, y, scale=batch[SCALE])[0].to(x.dtype)
        return (first + second) / 2
