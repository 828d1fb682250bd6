"""What the training loop asks of an objective: draws, weights, loss terms and their coefficients.

A loss term is a sum with a weight (design decision 7): the loop divides by the weight added up over micro-batches and
ranks, so that any partition of the global batch gives the same gradient.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from reedbench.core.seeds import RowStreams
from reedbench.nn.schedules import Factor

Batch = dict[str, Tensor]  # every value has the batch as its first axis, so that a slice of a batch is a batch
Kind = Literal["loss", "cosine"]  # what a term is, for figures; a cosine is shown without its minus
PARTNERS = "partners"  # (b, entries, k): of a representation of pairs, those of each entry with these are read
POOL = "pool"  # (b, ...) as `x_1`: for each row a sample of the teacher that was asked for the row's label
WHOLE = 0  # as `Learner.group`: all rows of a batch belong together
DENOISE = "denoise"
REST = 0.01  # of a floor: nearer to it a term rests there


class Streams(Protocol):
    """Random numbers of the rows of a batch."""

    step: int
    """Step of training that the batch is of."""

    def __call__(self, name: str, at: int | None = None) -> RowStreams:
        """One stream per row for the draw `name`, at this step or at another one."""
        ...


@dataclass(frozen=True)
class LossTerm:
    """`sum / weight` is the value of the term; both are scalars of one micro-batch."""

    sum: Tensor
    weight: float


class Others(Protocol):
    """Networks that a loss may look up, in evaluation mode and without gradients; called like the learner's own."""

    def average(self, *inputs: Any, **named: Any) -> Any:
        """The network with its averaged parameters (frozen ones and buffers are those of now)."""
        ...

    def online(self, *inputs: Any, **named: Any) -> Any:
        """The network with the parameters of now."""
        ...

    def teacher(self, *inputs: Any, **named: Any) -> Any:
        """The frozen teacher.

        Raises:
            ValueError: the method declares none.
        """
        ...


class Learner(ABC):
    """A network together with its training loss.

    Attributes:
        network: what is trained.
        factors: of every loss term over training. A term is neither computed nor paid for while its factor does not
            count; parameters that only such terms use get gradients of zero, so that the optimiser counts the step.
        kinds: of terms that are no plain losses.
        group: consecutive rows of the global batch that the loss compares with each other. Batches are cut between
            groups alone; a loss over all rows together, `WHOLE`, cannot be cut, and is refused with micro-batches or
            several ranks.
        floors: of terms that have one: the value at which nothing is left to gain, see `remark`.
        active: terms that are computed now, see `begin`; None means all.
        step: which step that is.
        pieces: micro-batches in which a share passes the network; the trainer says it, for a learner that passes rows
            through a network in `completed`.
        numerics: a context in which networks compute as they do in training; likewise.
    """

    network: nn.Module
    factors: Mapping[str, Factor]
    kinds: Mapping[str, Kind] = {}
    group: int = 1
    floors: Mapping[str, float] = {}
    active: frozenset[str] | None = None
    step: int = 0
    pieces: int = 1
    numerics: Callable[[], AbstractContextManager[Any]] = nullcontext
    backbone: ClassVar[str] = "backbone."  # where the network holds what samples are drawn from

    def phases(self) -> tuple[int, ...]:
        """First steps of the stretches of training in which the same terms are computed, at the same cost; 0 first.

        To be extended by a learner whose cost per step changes for other reasons (a look-up that starts).
        """
        ends = (factor.end for factor in self.factors.values() if factor.end is not None)
        return tuple(sorted({0, *(factor.begin for factor in self.factors.values()), *ends}))

    def phase(self, step: int) -> int:
        """The one of `phases` whose cost a step has: that of its stretch, unless stretches take turns."""
        return max(begin for begin in self.phases() if begin <= step)

    def steps_by_phase(self, start: int, stop: int) -> dict[int, int]:
        """How many of the steps `start` .. `stop - 1` have the cost of each of the `phases`."""
        begins = self.phases()
        ends = (*begins[1:], max(stop, begins[-1]))
        return {b: max(0, min(stop, e) - max(start, b)) for b, e in zip(begins, ends, strict=True)}

    def misfit(self, batch: int, world: int, accumulation: int, *, packed: bool) -> str | None:
        """Why this loss cannot be trained so, with what to change; none where it can.

        Args:
            batch: rows of a global batch; of the smallest where they differ.
            world: processes.
            accumulation: micro-batches of each.
            packed: whether batches have different numbers of rows (`train.tokens`).
        """
        if idle := [step for step in self.phases() if not self.coefficients(step)]:
            return f"from step {idle[0]} on no term of the method's loss counts"
        pieces, divided = world * accumulation, f"{world} rank(s) with {accumulation} micro-batch(es) each"
        if self.group == WHOLE and pieces > 1:
            return (
                f"the loss compares all rows of a batch with each other and cannot be divided over {divided}; set "
                "train.accumulation to 1 and train on one process (resources.train)"
            )
        if self.group > 1 and packed:
            return (
                f"the loss compares rows in groups of {self.group}, which needs batches of one size: give train.batch"
            )
        if self.group > 1 and batch % (pieces * self.group):
            return (
                f"a batch of {batch} rows cannot be cut into whole groups of {self.group}, which the loss compares, "
                f"over {divided}: train.batch must be a multiple of {pieces * self.group}"
            )
        return None

    def begin(self, step: int) -> None:
        """From now on `draw`, `weights`, `reads`, `completed` and `terms` are about the terms active at this step."""
        self.active, self.step = frozenset(self.coefficients(step)), step

    def computes(self, term: str) -> bool:
        """Whether a term is active now."""
        return self.active is None or term in self.active

    def coefficients(self, step: int) -> dict[str, float]:
        """Factor of every term that is active at an optimizer step, 0 being the first."""
        return {name: factor(step) for name, factor in self.factors.items() if factor.active(step)}

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """A rank's rows with everything random added (time, noise, dropped labels).

        They are on the CPU and without representations. What a row gets comes from its own streams, so that it is the
        same on any number of ranks; what depends on other rows is for `completed`. An objective that reads
        representations of pairs adds `partners`. A thread calls `draw`, `weights` and `reads`, too, for later steps
        that compute the same terms as the current one: they read nothing else of the learner that changes by the step.
        """
        return batch

    @abstractmethod
    def weights(self, batch: Batch) -> dict[str, float]:
        """Weight of every active term on drawn rows, known before the forward pass and without representations.

        Additive: the weights of the parts of a batch add up to its own.
        """

    def reads(self) -> tuple[str, ...] | None:
        """Names of the encoders whose representations the active terms need; None: of all that the method names."""
        return None

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """A rank's drawn rows with representations, and what the loss needs of the global batch (means, moments).

        A loss whose rows do not depend on each other returns the batch as it is.

        Args:
            batch: on the device of the network.
            total: sum of a tensor over ranks.
        """
        return batch

    def typical(self, batch: Batch) -> Batch:
        """A rank's completed rows with values of which the operations are those of an average batch.

        They are counted on it; of a loss whose operations do not depend on what is drawn it is the batch itself.
        """
        return batch

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """The micro-batch with what other networks say about it, as tensors with the batch as first axis.

        Called just before `terms`, without gradients and in the precision of training. Whatever the learner keeps
        from step to step belongs into `state`.
        """
        return batch

    @abstractmethod
    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """Forward pass on a drawn (micro-)batch: every active term.

        It goes through `network`, and through nothing else that has parameters: that is the learner's own network, or
        a wrapper of it that is called alike and sums gradients over ranks.
        """

    def watched(self, batch: Batch) -> dict[str, Tensor]:
        """What the curve shows beside the loss terms: by name a value per row of the batch, (b,)."""
        return {}

    def settled(self, step: int, total: Callable[[Tensor], Tensor]) -> None:  # noqa: B027 - most measure nothing
        """Called on all ranks together at the end of every update, by a learner whose factors depend on its losses.

        What is kept from here on belongs into `state`, and is the same on all ranks.

        Args:
            step: that was computed.
            total: sum of a tensor over ranks.
        """

    def remark(self, values: Mapping[str, float]) -> str | None:
        """A line for the person about the means of an interval (terms by name), said once in a run; mostly none."""
        resting = [name for name, floor in self.floors.items() if name in values and _rests(values[name], floor)]
        if not resting:
            return None
        name = resting[0]
        return (
            f"{name} {values[name]:.4g} rests at its floor {self.floors[name]:.4g}, where no two rows are compared any "
            "more and hidden states only grow: lower its weight or raise its temperature"
        )

    def average_restarts(self, step: int) -> bool:
        """Whether the weight average is the network as it is when a step begins, and forgets what was before."""
        return False

    def rates(self) -> Mapping[str, float]:
        """Learning rates of parameters by the start of their names, in units of the run's.

        Each such group has its gradient clipped by itself, and so have all other parameters.
        """
        return {}

    def state(self) -> dict[str, Tensor]:
        """What the learner keeps from step to step outside its network; saved with the state of training."""
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027 - most keep nothing
        """Take up what `state` gave; the tensors are the learner's from now on."""

    def sampling_parameters(self) -> int:
        """Number of trainable parameters that sampling needs (projectors do not count)."""
        parameters = self.network.named_parameters()
        return sum(parameter.numel() for name, parameter in parameters if name.startswith(self.backbone))

    def published(self, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is published, by the names of published checkpoints: the backbone's without a prefix, and the others.

        Parameters are averages (given by the network's names); buffers, such as running statistics, are those of now.
        """
        state = {**self.network.state_dict(), **average}
        return {name.removeprefix(self.backbone): tensor for name, tensor in state.items()}


def _rests(value: float, floor: float) -> bool:
    return value <= floor + REST * abs(floor)
