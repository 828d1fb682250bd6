"""What the training loop asks of an objective: draws, weights, loss terms and their coefficients.

A loss term is a sum with a weight (design decision 7): the loop divides by the weight added up over micro-batches and
ranks, so that any partition of the global batch gives the same gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from reedbench.core.seeds import RowStreams

Batch = dict[str, Tensor]  # every value has the batch as its first axis, so that a slice of a batch is a batch
Streams = Callable[[str], RowStreams]  # name of a draw -> its streams at this step, one per row of the batch
PARTNERS = "neighbours"  # (b, entries, k): of a representation of pairs, batches have those of each entry with these


@dataclass(frozen=True)
class LossTerm:
    """`sum / weight` is the value of the term; both are scalars of one micro-batch."""

    sum: Tensor
    weight: float


class Learner(Protocol):
    """A network together with its training loss."""

    network: nn.Module

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """A rank's rows with everything random added (time, noise, dropped labels).

        They are on the CPU and without representations. What a row gets comes from its own streams, so that it is the
        same on any number of ranks; what depends on other rows is for `completed`. An objective that reads
        representations of pairs adds `neighbours`.
        """
        ...

    def weights(self, batch: Batch) -> dict[str, float]:
        """Weight of every term on drawn rows, known before the forward pass and without representations.

        Additive: the weights of the parts of a batch add up to its own.
        """
        ...

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """A rank's drawn rows with representations, and what the loss needs of the global batch (means, moments).

        A loss whose rows do not depend on each other returns the batch as it is.

        Args:
            batch: on the device of the network.
            total: sum of a tensor over ranks.
        """
        ...

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """Forward pass on a drawn (micro-)batch.

        It goes through `network`, and through nothing else that has parameters: that is the learner's own network, or
        a wrapper of it that is called alike and sums gradients over ranks.
        """
        ...

    def coefficients(self, step: int) -> dict[str, float]:
        """Factor of every term at an optimizer step, 0 being the first."""
        ...

    def sampling_parameters(self) -> int:
        """Number of trainable parameters that sampling needs (projectors do not count)."""
        ...

    def published(self, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is published: averaged parameters (given by the network's names) and constants, by public names."""
        ...
