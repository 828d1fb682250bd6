"""One run in memory: network, weight average, optimiser, and the update that moves them one step."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from reedbench.core import seeds
from reedbench.nn.learner import Batch, Learner
from reedbench.schema.benchmark import Training
from reedbench.training.checkpoint import restore
from reedbench.training.loaders import DataOrder, TrainingData

GRADIENT = "gradient_norm"


class Trainer:
    """Trains a learner on data; every random number comes from a stream of (benchmark, seed, step)."""

    def __init__(
        self, learner: Learner, data: TrainingData, settings: Training, benchmark: str, seed: int, device: str
    ) -> None:
        self.learner, self.data, self.settings = learner, data, settings
        self.benchmark, self.seed, self.device = benchmark, seed, device
        self.order = DataOrder(data.size, settings.batch, benchmark, seed)
        self.network = learner.network.to(device).train()
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
        """One optimizer step (0 is the first): the value of every loss term, and the gradient norm before clipping."""
        batch = self._drawn(step)
        values = self._backward(batch, self.learner.coefficients(step))
        clip = self.settings.optimiser.clip
        values[GRADIENT] = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), clip).detach()
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._move_average(list(self.average.values()), list(self.parameters.values()), None)
        return values

    def flops_per_step(self) -> float:
        """Floating-point operations of one forward and backward pass, counted on the first batch; changes nothing."""
        with FlopCounterMode(display=False) as counter:
            self._backward(self._drawn(0), self.learner.coefficients(0))
        self.optimiser.zero_grad(set_to_none=True)
        return float(counter.get_total_flops())

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

    def _drawn(self, step: int) -> Batch:
        batch = self.data.batch(self.order.rows(step))
        batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return self.learner.draw(batch, lambda name: seeds.stream(name, self.benchmark, self.seed, step))

    def _backward(self, batch: Batch, coefficients: dict[str, float]) -> dict[str, Tensor]:
        """Accumulate gradients of the global batch; returns every term divided by its weight over that batch."""
        weights = self.learner.weights(batch)
        size = self.settings.batch // self.settings.accumulation
        values = {name: torch.zeros((), device=self.device) for name in weights}
        seen = dict.fromkeys(weights, 0.0)
        for begin in range(0, self.settings.batch, size):
            piece = {name: tensor[begin : begin + size] for name, tensor in batch.items()}
            with self._precision():
                terms = self.learner.terms(piece)
            means = {name: term.sum / weights[name] for name, term in terms.items()}
            # A coefficient of 0 still gives gradients (of 0): the optimiser counts the step, as the reference does.
            torch.stack([coefficients[name] * mean for name, mean in means.items()]).sum().backward()  # type: ignore[no-untyped-call]
            for name, mean in means.items():
                values[name] += mean.detach()
                seen[name] += terms[name].weight
        if any(not math.isclose(seen[name], weights[name]) for name in weights):
            raise ValueError(
                f"the objective announced weights {weights} and used {seen}: gradients would be mis-scaled"
            )
        return values

    def _precision(self) -> Any:
        if self.settings.precision == "fp32":
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, torch.bfloat16)
