"""Denoising with any number of aligned hidden layers: none is SiT, one is REPA, several with a curriculum are REED.

Source: REPA, arXiv:2410.06940; REED, arXiv:2507.08980, loss omega(s) L_denoise + rho(s) sum_j w_j L_align,j.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from reedbench.nn.alignment import AlignedNetwork, Alignments, Tap, cosine_alignment, sample_weights
from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor


@dataclass(frozen=True)
class TimedTap(Tap):
    """An alignment with a weight over time.

    Attributes:
        time_weight: weight as a function of t.
        mode: `per-sample` or `reference`, see `sample_weights`.
    """

    time_weight: Callable[[Tensor], Tensor] = torch.ones_like
    mode: Literal["per-sample", "reference"] = "per-sample"


class AlignedLearner(FlowLearner):
    """The loss of SiT, REPA and REED. Targets are (b, tokens, dim) or (b, dim)."""

    def __init__(
        self,
        network: AlignedNetwork,
        flow: FlowMatching,
        denoise: Factor,
        align: Factor,
        *,
        mean_over_encoders: bool = False,
    ) -> None:
        share = 1 / len(network.taps) if mean_over_encoders and network.taps else 1.0
        self.alignments = Alignments(network.taps, align, share)
        super().__init__(network, flow, denoise, self.alignments.factors)
        self.kinds = dict.fromkeys(self.alignments.factors, "cosine")

    def reads(self) -> tuple[str, ...]:
        """Encoders of the active alignments."""
        return tuple(tap.encoder for tap in self.alignments.chosen(self.computes))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds targets as they are compared, and one time weight per tap: their mean over the global batch in
        `reference` mode."""
        batch = self.alignments.completed(batch, total, self.computes)
        for tap in self.alignments.chosen(self.computes):
            batch[f"tau/{tap.term}"] = sample_weights(tap.time_weight(batch["t"]), tap.mode, total)
        return batch

    def wanted(self) -> list[int]:
        """Taps of the active alignments."""
        return self.alignments.wanted(self.computes)

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Negative cosines with their time weights."""
        pairs = zip(self.alignments.chosen(self.computes), hidden, strict=True)
        return {tap.term: cosine_alignment(h, batch[tap.aligned]) * batch[f"tau/{tap.term}"] for tap, h in pairs}
