"""SRA: an early block at one time is pulled towards a later block of the weight average at a cleaner time.

Source: arXiv:2505.02831, equations 4 to 6, and its release (one head on the student's side alone, same noise).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, from_numpy, nn

from reedbench.nn.alignment import TappedNetwork, cosine
from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch, Others, Streams
from reedbench.nn.schedules import Factor

LATER, TEACHER = "later", "teacher"  # of a batch: t+ (b,), and what is looked up at that time
STUDENT_TAP, TEACHER_TAP = 0, 1

Distance = Callable[[Tensor, Tensor], Tensor]  # of two sequences (b, tokens, width): (b,)


class HeadedNetwork(TappedNetwork):
    """A backbone with taps at the student's and the teacher's block, and a head on the student's."""

    def __init__(self, backbone: nn.Module, places: Sequence[Any], head: nn.Module) -> None:
        super().__init__(backbone, places)
        self.projectors = nn.ModuleList([head])

    def handed_out(self, i: int, h: Tensor) -> Tensor:
        """The student through the head, the teacher as it is."""
        if i == TEACHER_TAP:
            return h
        projection: Tensor = self.projectors[0](h)
        return projection


class SelfAlignedLearner(FlowLearner):
    """The velocity loss, and a distance between the student and what the average makes of a later time.

    Args:
        network: with the head.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        term: name of the distance.
        factor: of it.
        distance: see `DISTANCES`.
        spread: how much later the teacher's time is at most.
    """

    def __init__(
        self,
        network: HeadedNetwork,
        flow: FlowMatching,
        denoise: Factor,
        *,
        term: str,
        factor: Factor,
        distance: Distance,
        spread: float,
    ) -> None:
        super().__init__(network, flow, denoise, {term: factor})
        self.term, self.distance, self.spread = term, distance, spread

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws and `later` (b,): t+ = min(t + spread u, 1), u ~ U[0, 1) of each row."""
        batch = super().draw(batch, streams)
        u = from_numpy(streams("later-time").uniform()).to(batch["t"].device)
        return {**batch, LATER: later(batch["t"], u, self.spread)}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `teacher` (b, tokens, width): same data, noise and labels at the later time, up to the tapped block."""
        if not self.computes(self.term):
            return batch
        inputs = self.flow.inputs({**batch, "t": batch[LATER]})
        _, (hidden,) = others.average(*inputs, wanted=[TEACHER_TAP], only_taps=True)
        return {**batch, TEACHER: hidden}

    def wanted(self) -> list[int]:
        """The student alone."""
        return [STUDENT_TAP] if self.computes(self.term) else []

    def extra(self, hidden: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The distance."""
        return {self.term: self.distance(hidden[0], batch[TEACHER])}


def later(t: Tensor, u: Tensor, spread: float) -> Tensor:
    """Times of the teacher, not beyond the data."""
    return (t + spread * u).clamp(max=1)


def per_token(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of every token, mean over tokens."""
    return (1 - cosine(student, teacher)).mean(1)


def per_channel(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of every channel over the tokens, mean over channels.

    The release calls `F.cosine_similarity` without an axis, which then is the first after the batch: the tokens.
    """
    return per_token(student.transpose(1, 2), teacher.transpose(1, 2))


def smooth_l1(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Mean over everything but the batch of `smoothly_apart`."""
    return smoothly_apart(student, teacher, beta).flatten(1).mean(1)


def smoothly_apart(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Of every number, Huber's loss over beta: squares below it, absolute differences above."""
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    return F.smooth_l1_loss(student.to(dtype), teacher.to(dtype), beta=beta, reduction="none")
