"""Losses whose terms are means over rows of entries, with alignments of states that are pooled over entries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from reedbench.nn.alignment import AlignedNetwork, Alignments, cosine_alignment
from reedbench.nn.learner import Batch, Learner, LossTerm
from reedbench.nn.schedules import Factor


class PooledLearner(Learner):
    """What losses of molecules share; a batch has a `mask` (b, N), 1 where an atom is.

    Args:
        network: around a backbone that hands out a state per atom.
        denoising: factors of the terms of denoising.
        align: factor of the alignments.
        mean: divide the alignments by their number.
    """

    def __init__(self, network: AlignedNetwork, denoising: Mapping[str, Factor], align: Factor, *, mean: bool) -> None:
        self.network: Any = network
        self.alignments = Alignments(network.taps, align, 1 / len(network.taps) if mean and network.taps else 1.0)
        self.factors = {**denoising, **self.alignments.factors}
        self.kinds = dict.fromkeys(self.alignments.factors, "cosine")

    def weights(self, batch: Batch) -> dict[str, float]:
        """Every term is a mean over rows."""
        return {name: float(len(batch["mask"])) for name in self.factors if self.computes(name)}

    def reads(self) -> tuple[str, ...]:
        """Encoders of the active alignments."""
        return tuple(tap.encoder for tap in self.alignments.chosen(self.computes))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds targets as they are compared."""
        return self.alignments.completed(batch, total, self.computes)

    def wanted(self) -> list[int]:
        """Taps of the active alignments."""
        return self.alignments.wanted(self.computes)

    def summed(
        self, denoising: Mapping[str, Tensor], projections: Sequence[Tensor], batch: Batch
    ) -> dict[str, LossTerm]:
        """Terms of denoising (b,), and the negative cosines of projections (b, d), those of `wanted`, as loss terms."""
        pairs = zip(self.alignments.chosen(self.computes), projections, strict=True)
        values = {**denoising, **{tap.term: cosine_alignment(h, batch[tap.aligned]) for tap, h in pairs}}
        return {name: LossTerm(value.sum(), float(len(value))) for name, value in values.items()}
