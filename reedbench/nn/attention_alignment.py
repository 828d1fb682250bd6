"""Attention of some blocks drawn towards the attention of a frozen encoder, beside aligned hidden states: HASTE.

Source: HASTE, arXiv:2505.16792: the cross-entropy of the student's softmax under the teacher's, mean over pairs of
layers, heads and queries. Logits are taken after the norms of queries and keys and are scaled by head_dim^-1/2.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reedbench.nn.aligned import AlignedLearner
from reedbench.nn.alignment import AlignedNetwork, Tap
from reedbench.nn.backbones.sit import ATTENTION
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor


@dataclass(frozen=True)
class AttentionPair:
    """A block of the student and a layer of the teacher, each with the heads that are compared, in their order.

    Attributes:
        encoder: whose representations hold the teacher's logits, (layers, heads, n, n).
        depth: block of the student, 1-based.
        layer: index among those layers.
        student: indices of the student's heads.
        teacher: those of the teacher's.
    """

    encoder: str
    depth: int
    layer: int
    student: tuple[int, ...]
    teacher: tuple[int, ...]


def attention_cross_entropy(student: Tensor, teacher: Tensor) -> Tensor:
    """-sum_k softmax(teacher)_k log softmax(student)_k over the last axis of logits (b, ..., n), mean over all but the
    batch: (b,). In float32 or higher: half precision loses the small probabilities."""
    dtype = torch.promote_types(torch.promote_types(student.dtype, teacher.dtype), torch.float32)
    entropy = -(teacher.to(dtype).softmax(-1) * student.to(dtype).log_softmax(-1)).sum(-1)
    return entropy.flatten(1).mean(1)


class AttentiveNetwork(AlignedNetwork):
    """An aligned network that hands out the logits of the attention of further blocks behind its projections."""

    def __init__(
        self, backbone: nn.Module, projectors: Sequence[nn.Module], taps: Sequence[Tap], depths: Sequence[int]
    ) -> None:
        super().__init__(backbone, projectors, taps)
        self.places = (*self.places, *((ATTENTION, depth) for depth in depths))

    def handed_out(self, i: int, h: Tensor) -> Tensor:
        """A projection, or logits as they are."""
        return super().handed_out(i, h) if i < len(self.taps) else h


class AttentiveLearner(AlignedLearner):
    """The loss of HASTE. Its term `attention` has the factor of the alignments times `weight`.

    Encoders are asked for, and logits computed, while the factor counts: from the stop on a step is one of SiT.
    """

    def __init__(
        self,
        network: AttentiveNetwork,
        flow: FlowMatching,
        denoise: Factor,
        align: Factor,
        pairs: Sequence[AttentionPair],
        weight: float,
        *,
        mean_over_encoders: bool = False,
    ) -> None:
        super().__init__(network, flow, denoise, align, mean_over_encoders=mean_over_encoders)
        self.pairs, self.projected = tuple(pairs), len(network.taps)
        self.factors = {**self.factors, ATTENTION: align.times(weight)}

    def reads(self) -> tuple[str, ...]:
        """Encoders of the active alignments and pairs."""
        return tuple(dict.fromkeys((*super().reads(), *(pair.encoder for pair in self._compared()))))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds what is compared: of the teacher the layers and heads of each pair."""
        chosen = {
            _logits(i): batch[f"target/{pair.encoder}"][:, pair.layer, list(pair.teacher)]
            for i, pair in enumerate(self._compared())
        }
        return {**super().completed(batch, total), **chosen}

    def wanted(self) -> list[int]:
        """Active alignments, and the attention of all pairs."""
        return [*super().wanted(), *(self.projected + i for i in range(len(self._compared())))]

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Alignments, and the mean cross-entropy over pairs."""
        pairs = self._compared()
        aligned = len(hidden) - len(pairs)
        found = dict(super().extra(hidden[:aligned], batch))
        if pairs:
            compared = zip(hidden[aligned:], pairs, strict=True)
            entropies = [
                attention_cross_entropy(logits[:, list(pair.student)], batch[_logits(i)])
                for i, (logits, pair) in enumerate(compared)
            ]
            found[ATTENTION] = torch.stack(entropies).mean(0)
        return found

    def _compared(self) -> tuple[AttentionPair, ...]:
        return self.pairs if self.computes(ATTENTION) else ()


def _logits(i: int) -> str:
    return f"attention/{i}"
