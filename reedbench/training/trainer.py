"""One run in memory: network, weight average, optimiser, and the update that moves them one step.

Every rank draws its own rows of the global batch, each from its own stream: the number of ranks changes nothing but
rounding.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn import flops
from reedbench.nn.adamw import AdamW
from reedbench.nn.learner import PARTNERS, WHOLE, Batch, Learner
from reedbench.schema.benchmark import Training
from reedbench.training.ahead import Ahead
from reedbench.training.checkpoint import restore
from reedbench.training.loaders import TrainingData
from reedbench.training.order import Order, PackedOrder, RowOrder
from reedbench.training.others import LookedUp
from reedbench.training.ranks import Ranks, part
from reedbench.training.summed import Summed, held_back

GRADIENT = "gradient_norm"
KEPT = "learner/"  # in states: what a learner keeps
AHEAD = 2  # batches that are ready before a GPU asks for them


@dataclass(frozen=True)
class Drawn:
    """What one rank has of a global batch before it meets the others, on the CPU.

    Attributes:
        batch: its rows, with all that is random about them.
        targets: their representations, in half precision as on disk.
        own: weights of the loss terms on these rows.
    """

    batch: Batch
    targets: Batch
    own: dict[str, float]


@dataclass(frozen=True)
class StepStreams:
    """See `nn.learner.Streams`.

    Attributes:
        rows: numbers of the rows in the global batch.
        dataset: of the run.
        seed: of the run.
        step: of training.
    """

    rows: range
    dataset: str
    seed: int
    step: int

    def __call__(self, name: str, at: int | None = None) -> seeds.RowStreams:
        """The rows' streams for a draw."""
        return seeds.rows(self.rows, name, self.dataset, self.seed, self.step if at is None else at)


@dataclass(frozen=True)
class Share:
    """What one rank has of a drawn global batch.

    Attributes:
        batch: its rows, on its device.
        own: weights of the loss terms on these rows.
        whole: weights on the global batch.
    """

    batch: Batch
    own: dict[str, float]
    whole: dict[str, float]


@dataclass(frozen=True)
class Phase:
    """A stretch of training in which the same terms are computed.

    Attributes:
        flops: floating-point operations of its first step, on all ranks: look-ups, forward and backward pass.
        idle: parameters that nothing which is computed depends on.
    """

    flops: float
    idle: tuple[str, ...]


def _grouped(parameters: Mapping[str, Tensor], starts: Collection[str]) -> dict[str, list[Tensor]]:
    """Parameters by the start of their names, those that start otherwise under the empty one; no group is empty."""
    groups: dict[str, list[Tensor]] = {"": []}
    for name, parameter in parameters.items():
        groups.setdefault(next(filter(name.startswith, starts), ""), []).append(parameter)
    return {start: members for start, members in groups.items() if members}


class Trainer:
    """Trains a learner on data; every random number comes from a stream of (dataset, seed, step, row).

    Raises:
        ConfigError: the batch cannot be divided over ranks and micro-batches, or there is nothing to train on.
    """

    def __init__(
        self,
        learner: Learner,
        data: TrainingData,
        settings: Training,
        dataset: str,
        seed: int,
        ranks: Ranks,
        teacher: nn.Module | None = None,
    ) -> None:
        self.learner, self.data, self.settings = learner, data, settings
        self.dataset, self.seed, self.ranks, self.device = dataset, seed, ranks, ranks.device
        learner.pieces, learner.numerics = settings.accumulation, self._precision
        self.order = self._order()
        # A CPU that computes the steps has no time to spare for the next ones.
        self.ahead = Ahead(self._drawn, AHEAD if self.device == "cuda" else 0, self._alike)
        self._check_batch()
        self.network = learner.network.to(self.device).train()
        self.compiled = settings.compile and self.device == "cuda"
        called = torch.compile(self.network) if self.compiled else self.network
        self.shared: nn.Module = Summed(called) if ranks.world > 1 else called
        self.parameters = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.others = LookedUp(self.network, self.average, None if teacher is None else teacher.to(self.device))
        self._known: dict[int, Phase] = {}
        self._move_average: Callable[..., Any] = get_ema_multi_avg_fn(settings.ema_decay)
        optimiser, factors = settings.optimiser, learner.rates()
        self.groups = _grouped(self.parameters, factors)
        self.optimiser = AdamW(
            self.parameters.values(),
            lr=optimiser.lr,
            betas=optimiser.betas,
            eps=optimiser.eps,
            weight_decay=optimiser.weight_decay,
            fused=True,
            factors={p: factor for start, factor in factors.items() for p in self.groups.get(start, ())},
        )

    @property
    def phases(self) -> tuple[int, ...]:
        """As the learner has them now: one may end a term sooner than it has to."""
        return self.learner.phases()

    def update(self, step: int) -> dict[str, Tensor]:
        """One optimizer step (0 is the first): this rank's share of every loss term, and the gradient norm.

        The shares add up to the terms; the norm is that before clipping.
        """
        idle = self._idle(step)  # which may have to pass through a phase, and what that leaves in the learner goes
        self.learner.begin(step)
        share = self._share(self.ahead.take(step))
        values = self._backward(share, step, self.shared, idle)
        norms = [clip_grad_norm_(one, self.settings.optimiser.clip).detach() for one in self.groups.values()]
        norm = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
        # All ranks have the norm of the whole gradient, and shares are summed: it counts once.
        values[GRADIENT] = norm if self.ranks.first else torch.zeros_like(norm)
        if seen := self.learner.watched(share.batch):
            rows = len(self.order.rows(step))
            values |= {name: each.detach().sum() / rows for name, each in seen.items()}
        self._set_rate(step)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.learner.average_restarts(step + 1):
            self._restart_average()
        else:
            self._move_average(list(self.average.values()), list(self.parameters.values()), None)
        self.learner.settled(step, self.ranks.total)
        return values

    @torch.no_grad()
    def _restart_average(self) -> None:
        for name, parameter in self.parameters.items():
            self.average[name].copy_(parameter)

    def _set_rate(self, step: int) -> None:
        """The learning rate is a function of the step alone, so that no state need hold it."""
        self.optimiser.lr = self.settings.optimiser.rate(step)

    def flops(self, step: int) -> float:
        """Floating-point operations of the phase that a step belongs to: of its first step, on all ranks.

        To be asked on all ranks together. It changes nothing.
        """
        return self._phase(step).flops

    def settle_gradients(self) -> None:
        """To be called before the first update of a process on several ranks; changes nothing but later rounding.

        Torch packs gradients anew after their first sum, and sums over more than two ranks round by how they are
        packed. With that behind us, and always with those of step 0, a resumed run rounds as one that was left alone.
        """
        if isinstance(self.shared, Summed):
            with self._untouched():
                self._backward(self._share_of(0), 0, self.shared, self._idle(0))

    def published(self) -> dict[str, Tensor]:
        """The averaged weights, and constants, under their published names."""
        return self.learner.published(self.average)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, besides the step number."""
        tensors = {f"network/{name}": tensor for name, tensor in (self.parameters | self._constants()).items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.parameters.items():
            for moment, tensor in self.optimiser.state[parameter].items():
                tensors[f"optimiser/{moment}/{name}"] = tensor
        return tensors | {f"{KEPT}{name}": tensor for name, tensor in self.learner.state().items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a state."""
        restore(self.parameters | self._constants(), tensors, "network/")
        restore(self.average, tensors, "average/")
        for key, tensor in tensors.items():
            if key.startswith("optimiser/"):
                _, moment, name = key.split("/", 2)
                self.optimiser.state[self.parameters[name]][moment] = tensor.to(self.device)
        kept = {key.removeprefix(KEPT): tensor for key, tensor in tensors.items() if key.startswith(KEPT)}
        self.learner.restore({name: tensor.to(self.device) for name, tensor in kept.items()})

    def _constants(self) -> dict[str, Tensor]:
        """Frozen parameters and buffers: no optimiser moves them, but a learner may."""
        frozen = {name: tensor for name, tensor in self.network.named_parameters() if not tensor.requires_grad}
        return frozen | dict(self.network.named_buffers())

    @contextmanager
    def _untouched(self) -> Iterator[None]:
        """Whatever is computed inside leaves no trace: no gradients, no running statistics, no random numbers taken."""
        active, step = self.learner.active, self.learner.step
        constants = {name: tensor.detach().clone() for name, tensor in self._constants().items()}
        kept = {name: tensor.detach().clone() for name, tensor in self.learner.state().items()}
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if self.device == "cuda" else []):
            yield
        restore(self._constants(), constants, "")
        self.learner.restore(kept)
        self.learner.active, self.learner.step = active, step
        self.optimiser.zero_grad()

    def _phase(self, step: int) -> Phase:
        begin = self.learner.phase(step)
        if begin not in self._known:
            with self._untouched():
                if self.learner.state():
                    self._share_of(begin)  # what a step finds made by those before it is not its cost
                with flops.counter() as counter:
                    share = self._share_of(begin)
                    share = replace(share, batch=self.learner.typical(share.batch))
                    self._backward(share, begin, self.network, (), self._pieces_of_counting(share))
                idle = tuple(name for name, parameter in self.parameters.items() if parameter.grad is None)
            total = self.ranks.total(torch.tensor(counter.get_total_flops(), dtype=torch.float64))
            self._known[begin] = Phase(float(total), idle)
        return self._known[begin]

    def _pieces_of_counting(self, share: Share) -> int:
        """Micro-batches of a pass that is counted: as in training, but more of them if the network is compiled there.

        Its own kernels, which are counted, keep more of a pass in memory than the compiler's do.
        """
        pieces = self.settings.accumulation
        if not self.compiled or self.learner.group == WHOLE:
            return pieces
        rows, group = len(next(iter(share.batch.values()))), self.learner.group
        finer = (pieces * n for n in (8, 4, 2))
        return next((n for n in finer if rows % (n * group) == 0), pieces)

    def _alike(self, step: int, other: int) -> bool:
        """Whether all steps from one to another compute the same terms: rows of the last can be drawn at the first."""
        terms = (self.learner.coefficients(between).keys() for between in range(step, other + 1))
        return len(set(map(frozenset, terms))) == 1

    def _idle(self, step: int) -> tuple[str, ...]:
        """Parameters that the terms of a step leave without a gradient."""
        complete = self.learner.coefficients(step).keys() == self.learner.factors.keys()
        return () if complete else self._phase(step).idle

    def _order(self) -> Order:
        settings, lengths = self.settings, self.data.lengths
        if settings.tokens is None:
            return RowOrder(self.data.size, settings.batch, self.dataset, self.seed)
        if lengths is None:
            raise ConfigError(f"{self.dataset}: train.tokens is for data of different lengths; give train.batch")
        return PackedOrder(lengths, settings.tokens, self.dataset, self.seed)

    def _check_batch(self) -> None:
        batch, world, accumulation = self.order.least, self.ranks.world, self.settings.accumulation
        packed = self.settings.tokens is not None
        if batch // world < accumulation:
            wrong: str | None = (
                f"a batch of {batch} rows is too small for {world} rank(s) with {accumulation} micro-batch(es) each; "
                f"raise train.{'tokens' if packed else 'batch'}, or lower train.accumulation or resources.train"
            )
        else:
            wrong = self.learner.misfit(batch, world, accumulation, packed=packed)
        if wrong:
            raise self.ranks.together(ConfigError(f"{self.dataset}: {wrong}"))

    def _share_of(self, step: int) -> Share:
        """Of any step, drawn here and now."""
        self.learner.begin(step)
        return self._share(self._drawn(step))

    def _share(self, drawn: Drawn) -> Share:
        own, targets = drawn.own, drawn.targets
        whole = self.ranks.total(torch.tensor(list(own.values()), dtype=torch.float64)).tolist()
        batch = {n: tensor.to(self.device, non_blocking=True) for n, tensor in (drawn.batch | targets).items()}
        # Representations are in half precision on disk, and stay so until they are on the device.
        batch |= {name: batch[name].float() for name in targets if batch[name].dtype == torch.float16}
        batch = self.data.seen(batch, self.learner.reads())
        return Share(self.learner.completed(batch, self.ranks.total), own, dict(zip(own, whole, strict=True)))

    def _drawn(self, step: int) -> Drawn:
        """This rank's rows of a step whose terms are those that the learner computes now."""
        rows = self.order.rows(step)
        mine = self.ranks.mine(len(rows))
        numbers = range(len(rows))[mine]

        streams = StepStreams(numbers, self.dataset, self.seed, step)
        batch = self.learner.draw(self.data.drawn(rows[mine], rows, streams), streams)
        targets = self.data.targets(rows[mine], rows, batch.get(PARTNERS), self.learner.reads())
        return Drawn(self._pinned(batch), self._pinned(targets), self.learner.weights(batch))

    def _pinned(self, batch: Batch) -> Batch:
        """In memory from which a GPU can copy while it computes."""
        return {name: tensor.pin_memory() for name, tensor in batch.items()} if self.device == "cuda" else batch

    def _backward(
        self, share: Share, step: int, network: nn.Module, idle: tuple[str, ...], pieces: int | None = None
    ) -> dict[str, Tensor]:
        """Add up the gradients of the share; returns every term, divided by its weight over the global batch.

        It is cut into `train.accumulation` micro-batches, or into `pieces`.
        """
        values: dict[str, Any] = dict.fromkeys(share.whole, 0)
        seen = dict.fromkeys(share.own, 0.0)
        pieces, rows = pieces or self.settings.accumulation, len(next(iter(share.batch.values())))
        for i in range(pieces):
            chosen, last = part(rows, i, pieces), i == pieces - 1
            piece = {name: tensor[chosen] for name, tensor in share.batch.items()}
            with nullcontext() if last else held_back(network):
                terms = self._pass(piece, share.whole, step, network, idle)
            for name, (mean, weight) in terms.items():
                values[name] = values[name] + mean
                seen[name] += weight
        self._check_pass(seen, share.own, network)
        return values

    def _pass(
        self, piece: Batch, whole: dict[str, float], step: int, network: nn.Module, idle: tuple[str, ...]
    ) -> dict[str, tuple[Tensor, float]]:
        """Forward and backward of a micro-batch; returns every term as in `_backward`, and the weight that it used."""
        coefficients = self.learner.coefficients(step)
        with self._precision():
            with torch.no_grad():
                piece = self.learner.looked_up(piece, step, self.others)
            terms = self.learner.terms(piece, network)
        if terms.keys() != whole.keys():
            raise ValueError(f"the objective announced the terms {sorted(whole)} and gave {sorted(terms)}")
        means = {name: term.sum / (whole[name] or 1.0) for name, term in terms.items()}  # no weight: the sum is 0
        # A coefficient of 0, and a term that is not computed, still give gradients (of 0): the optimiser counts the
        # step, as the reference does, and ranks wait for the gradients of all parameters.
        nothing = [self.parameters[name].flatten()[:0].sum() for name in idle]
        loss = torch.stack([coefficients[name] * mean for name, mean in means.items()] + nothing).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return {name: (mean.detach(), terms[name].weight) for name, mean in means.items()}

    def _check_pass(self, seen: dict[str, float], announced: dict[str, float], network: nn.Module) -> None:
        if any(not math.isclose(seen[name], announced[name], rel_tol=1e-6) for name in announced):
            raise ValueError(
                f"the objective announced weights {announced} and used {seen}: gradients would be mis-scaled"
            )
        if isinstance(network, Summed) and not network.called:
            raise ValueError("the objective's terms go around the network that they are given: gradients stay apart")

    def _precision(self) -> Any:
        if self.settings.precision != "bf16":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)
