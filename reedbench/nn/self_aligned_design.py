"""SRA on proteins: an early decoder layer is pulled towards a later one of the average, which sees more residues.

Source: arXiv:2505.02831 (images); masking diffusion of REED, arXiv:2507.08980. What is later and cleaner is here
a chain of which fewer residues are masked, by the same uniform numbers: what the student sees, the teacher sees.
"""

from collections.abc import Mapping
from typing import Final

from torch import Tensor, from_numpy

from reedbench.nn.alignment import cosine
from reedbench.nn.learner import Batch, Others, Streams
from reedbench.nn.masked_diffusion import Denoising
from reedbench.nn.regularised_design import Further, RegularisedDesignLearner
from reedbench.nn.schedules import Factor
from reedbench.nn.self_aligned import STUDENT_TAP, TEACHER, TEACHER_TAP, HeadedNetwork, later, smoothly_apart

SHOWN: Final = "later-noisy"  # of a batch: (b, L) tokens at the teacher's time


class SelfAlignedDesignLearner(RegularisedDesignLearner):
    """The denoising loss, and a distance between the student and what the average makes of a later time.

    Args:
        network: with the head.
        settings: of the denoising loss.
        denoise: its factor.
        further: the distance, by its name; of the student's states and `TEACHER` (b, L, width) of the batch.
        spread: how much later the teacher's time is at most.
    """

    def __init__(
        self,
        network: HeadedNetwork,
        settings: Denoising,
        denoise: Factor,
        further: Mapping[str, Further],
        spread: float,
    ) -> None:
        super().__init__(network, settings, denoise, further, group=1)
        self.spread = spread

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the tokens at t+ = min(t + spread u, 1), u ~ U[0, 1) of each chain."""
        batch = super().draw(batch, streams)
        u = from_numpy(streams("later-time").uniform()).to(batch["t"].device)
        return {**batch, SHOWN: self.masked(batch, later(batch["t"], u, self.spread), streams)}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds `TEACHER`: of the same moved coordinates and neighbours, without dropout, up to the tapped layer."""
        if not self._active():
            return batch
        seen = {name: tensor for name, tensor in batch.items() if name != "dropout"} | {"noisy": batch[SHOWN]}
        _, (hidden,) = self.passed(seen, others.average, [TEACHER_TAP], only_taps=True)
        return {**batch, TEACHER: hidden}

    def wanted(self) -> list[int] | None:
        """The student alone."""
        return [STUDENT_TAP] if self._active() else []


def apart(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of every residue, (b, L, width) each -> (b, L)."""
    return 1 - cosine(student, teacher)


def smoothly(student: Tensor, teacher: Tensor, beta: float) -> Tensor:
    """Huber's loss over beta of every residue, mean over channels: (b, L, width) each -> (b, L)."""
    return smoothly_apart(student, teacher, beta).mean(-1)
