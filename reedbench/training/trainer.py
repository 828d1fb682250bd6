"""One run in memory: network, weight average, optimiser, and the update that moves them one step.

Every rank draws its own rows of the global batch, each from its own stream: the number of ranks changes nothing but
rounding.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from reedbench.core import seeds
from reedbench.core.errors import ConfigError
from reedbench.nn.learner import PARTNERS, Batch, Learner
from reedbench.schema.benchmark import Training
from reedbench.training.checkpoint import restore
from reedbench.training.loaders import TrainingData
from reedbench.training.order import Order, PackedOrder, RowOrder
from reedbench.training.ranks import Ranks, part
from reedbench.training.summed import Summed, held_back

GRADIENT = "gradient_norm"


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


class Trainer:
    """Trains a learner on data; every random number comes from a stream of (dataset, seed, step, row).

    Raises:
        ConfigError: the batch has too few rows for the ranks.
    """

    def __init__(
        self, learner: Learner, data: TrainingData, settings: Training, dataset: str, seed: int, ranks: Ranks
    ) -> None:
        self.learner, self.data, self.settings = learner, data, settings
        self.dataset, self.seed, self.ranks, self.device = dataset, seed, ranks, ranks.device
        self.order = self._order()
        self._check_batch()
        self.network = learner.network.to(self.device).train()
        self.shared: nn.Module = Summed(self.network) if ranks.world > 1 else self.network
        self.parameters = {n: p for n, p in self.network.named_parameters() if p.requires_grad}
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._move_average: Callable[..., Any] = get_ema_multi_avg_fn(settings.ema_decay)
        optimiser = settings.optimiser
        self.optimiser = torch.optim.AdamW(
            self.parameters.values(),
            lr=optimiser.lr,
            betas=optimiser.betas,
            eps=optimiser.eps,
            weight_decay=optimiser.weight_decay,
            fused=True,
        )

    def update(self, step: int) -> dict[str, Tensor]:
        """One optimizer step (0 is the first): this rank's share of every loss term, and the gradient norm.

        The shares add up to the terms; the norm is that before clipping.
        """
        values = self._backward(self._share(step), self.learner.coefficients(step), self.shared)
        norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.optimiser.clip).detach()
        # All ranks have the norm of the whole gradient, and shares are summed: it counts once.
        values[GRADIENT] = norm if self.ranks.first else torch.zeros_like(norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._move_average(list(self.average.values()), list(self.parameters.values()), None)
        return values

    def flops_of_first(self) -> float:
        """Floating-point operations of a forward and backward pass on all ranks, counted on the batch of step 0.

        Changes nothing. To be called before the first update on several ranks.
        """
        share, coefficients = self._share(0), self.learner.coefficients(0)
        with FlopCounterMode(display=False) as counter:
            self._backward(share, coefficients, self.network)
        if isinstance(self.shared, Summed):
            # Torch packs gradients anew after their first sum, and sums over more than two ranks round by how they are
            # packed. With that behind us, a resumed run rounds as one that was left alone.
            self._backward(share, coefficients, self.shared)
        self.optimiser.zero_grad(set_to_none=True)
        return float(self.ranks.total(torch.tensor(counter.get_total_flops(), dtype=torch.float64)))

    def published(self) -> dict[str, Tensor]:
        """The averaged weights, and constants, under their published names."""
        return self.learner.published(self.average)

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, besides the step number."""
        tensors = {f"network/{name}": parameter for name, parameter in self.parameters.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.parameters.items():
            for moment, tensor in self.optimiser.state[parameter].items():
                tensors[f"optimiser/{moment}/{name}"] = tensor
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from a state."""
        restore(self.parameters, tensors, "network/")
        restore(self.average, tensors, "average/")
        for key, tensor in tensors.items():
            if key.startswith("optimiser/"):
                _, moment, name = key.split("/", 2)
                self.optimiser.state[self.parameters[name]][moment] = tensor.to(self.device)

    def _order(self) -> Order:
        settings, lengths = self.settings, self.data.lengths
        if settings.tokens is None:
            return RowOrder(self.data.size, settings.batch, self.dataset, self.seed)
        if lengths is None:
            raise ConfigError(f"{self.dataset}: train.tokens is for data of different lengths; give train.batch")
        return PackedOrder(lengths, settings.tokens, self.dataset, self.seed)

    def _check_batch(self) -> None:
        batch, world, accumulation = self.order.least, self.ranks.world, self.settings.accumulation
        given = "batch" if self.settings.tokens is None else "tokens"
        if batch // world < accumulation:
            raise self.ranks.together(
                ConfigError(
                    f"{self.dataset}: a batch of {batch} rows is too small for {world} rank(s) with {accumulation} "
                    f"micro-batch(es) each; raise train.{given}, or lower train.accumulation or resources.train"
                )
            )

    def _share(self, step: int) -> Share:
        rows = self.order.rows(step)
        mine = self.ranks.mine(len(rows))
        numbers = range(len(rows))[mine]
        batch = self.learner.draw(
            self.data.batch(rows[mine], rows),
            lambda name: seeds.rows(numbers, name, self.dataset, self.seed, step),
        )
        own = self.learner.weights(batch)
        whole = self.ranks.total(torch.tensor(list(own.values()), dtype=torch.float64)).tolist()
        targets = self.data.targets(rows[mine], rows, batch.get(PARTNERS))
        batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in (batch | targets).items()}
        # Representations are in half precision on disk, and stay so until they are on the device.
        batch |= {name: batch[name].float() for name in targets if batch[name].dtype == torch.float16}
        return Share(self.learner.completed(batch, self.ranks.total), own, dict(zip(own, whole, strict=True)))

    def _backward(self, share: Share, coefficients: dict[str, float], network: nn.Module) -> dict[str, Tensor]:
        """Add up the gradients of the share; returns every term, divided by its weight over the global batch."""
        values: dict[str, Any] = dict.fromkeys(share.whole, 0)
        seen = dict.fromkeys(share.own, 0.0)
        pieces, rows = self.settings.accumulation, len(next(iter(share.batch.values())))
        for i in range(pieces):
            chosen, last = part(rows, i, pieces), i == pieces - 1
            piece = {name: tensor[chosen] for name, tensor in share.batch.items()}
            with nullcontext() if last else held_back(network):
                terms = self._pass(piece, share.whole, coefficients, network)
            for name, (mean, weight) in terms.items():
                values[name] = values[name] + mean
                seen[name] += weight
        self._check_pass(seen, share.own, network)
        return values

    def _pass(
        self, piece: Batch, whole: dict[str, float], coefficients: dict[str, float], network: nn.Module
    ) -> dict[str, tuple[Tensor, float]]:
        """Forward and backward of a micro-batch; returns every term as in `_backward`, and the weight that it used."""
        with self._precision():
            terms = self.learner.terms(piece, network)
        means = {name: term.sum / (whole[name] or 1.0) for name, term in terms.items()}  # no weight: the sum is 0
        # A coefficient of 0 still gives gradients (of 0): the optimiser counts the step, as the reference does.
        torch.stack([coefficients[name] * mean for name, mean in means.items()]).sum().backward()  # type: ignore[no-untyped-call]
        return {name: (mean.detach(), terms[name].weight) for name, mean in means.items()}

    def _check_pass(self, seen: dict[str, float], announced: dict[str, float], network: nn.Module) -> None:
        if any(not math.isclose(seen[name], announced[name], rel_tol=1e-6) for name in announced):
            raise ValueError(
                f"the objective announced weights {announced} and used {seen}: gradients would be mis-scaled"
            )
        if isinstance(network, Summed) and not network.called:
            raise ValueError("the objective's terms go around the network that they are given: gradients stay apart")

    def _precision(self) -> Any:
        if self.settings.precision == "fp32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)
