"""The golden losses of the methods, and the toy network and inputs that they were computed from.

Source: shared/specs/methods.md, section P: an independent script in float64, its gradients checked by differences.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from reference_vectors import wave
from torch import Tensor, nn

from reedbench.nn.learner import Batch, Learner

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "methods_golden.json").read_text())
B, N, C, W, CLASSES = 6, 4, 3, 5, 3
ONLINE, AVERAGE, TEACHER, SPIN_REFERENCE, OLD_POLICY = 0.3, 0.8, 1.2, 0.55, 0.35
NEAR = 1e-9


class Toy(nn.Module):
    """v = tanh(tanh(tanh(x A1 + t b1 + E[y] + scale g) A2) A3) A4 on tokens (b, 4, 3), called as a backbone is."""

    width, tokens, null_label = W, N, CLASSES

    def __init__(self, s: float) -> None:
        super().__init__()
        laws = {
            "a1": (0.9, (C, W), 0.7, s), "b1": (0.5, (W,), 0.9, s + 0.1), "e": (1.2, (CLASSES + 1, W), 1.1, s + 0.2),
            "a2": (0.8, (W, W), 2.3, s + 0.3), "a3": (0.8, (W, W), 1.9, s + 0.4), "a4": (1.1, (W, C), 1.7, s + 0.5),
        }  # fmt: skip
        for name, (factor, shape, a, b) in laws.items():
            setattr(self, name, nn.Parameter(factor * wave(shape, a, b)))

    def forward(
        self, x: Tensor, t: Tensor, y: Tensor, taps: Sequence[int] = (), scale: Tensor | None = None, **_: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Velocity (b, 4, 3), and h1 .. h3 (b, 4, 5) by their numbers."""
        h = x @ self.a1 + (t[:, None] * self.b1 + self.e[y])[:, None]
        h1 = torch.tanh(h if scale is None else h + (scale[:, None] * self.g)[:, None])
        h2 = torch.tanh(h1 @ self.a2)
        h3 = torch.tanh(h2 @ self.a3)
        return h3 @ self.a4, tuple((h1, h2, h3)[tap - 1] for tap in taps)


class ScaledToy(Toy):
    """Toy with g, by which it reads a scale; g is the last of its parameters."""

    def __init__(self, s: float) -> None:
        super().__init__(s)
        self.g = nn.Parameter(0.4 * wave((W,), 1.3, s + 0.6))


class Looked:
    """What a loss may look up: the networks that are given, called like the learner's own."""

    def __init__(self, average: Any = None, teacher: Any = None, online: Any = None) -> None:
        self._average, self._teacher, self._online = average, teacher, online

    def average(self, *inputs: Any, **named: Any) -> Any:
        """The average."""
        return self._average(*inputs, **named)

    def online(self, *inputs: Any, **named: Any) -> Any:
        """The learner's own network."""
        return self._online(*inputs, **named)

    def teacher(self, *inputs: Any, **named: Any) -> Any:
        """The teacher."""
        return self._teacher(*inputs, **named)


def drawn(*, dropped: Sequence[int] = ()) -> Batch:
    """The batch of the vectors as `FlowMatching.draw` leaves it; rows `dropped` have the null label."""
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    y = labels.clone()
    y[list(dropped)] = CLASSES
    return {
        "x_1": wave((B, N, C), 0.37, 0.2),
        "x_0": wave((B, N, C), 0.91, 1.4),
        "t": torch.tensor([0.1, 0.2, 0.3, 0.55, 0.8, 0.95], dtype=torch.float64),
        "labels": labels,
        "y": y,
    }


def values(learner: Learner, batch: Batch, others: Any = None, step: int = 0) -> dict[str, Tensor]:
    """Every term at a step of training, divided by its weight, without its coefficient."""
    learner.begin(step)
    batch = learner.completed(batch, lambda own: own)
    if others is not None:
        with torch.no_grad():
            batch = learner.looked_up(batch, step, others)
    return {name: term.sum / term.weight for name, term in learner.terms(batch, learner.network).items()}


def loss_of(learner: Learner, batch: Batch, others: Any = None, step: int = 0) -> Tensor:
    """The loss that training takes the gradient of."""
    found = values(learner, batch, others, step)
    return torch.stack([learner.coefficients(step)[name] * value for name, value in found.items()]).sum()


def gradient_norm(loss: Tensor, *modules: nn.Module) -> float:
    """2-norm of the gradient over all parameters of the modules; it is taken anew."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return sum(float(g.square().sum()) for g in found if g is not None) ** 0.5


def agrees(found: Mapping[str, Any], name: str) -> None:
    """Assert that numbers are those of a vector, to a relative 1e-9."""
    for key, value in found.items():
        wanted = torch.as_tensor(GOLDEN[name][key], dtype=torch.float64)
        torch.testing.assert_close(torch.as_tensor(value, dtype=torch.float64), wanted, rtol=NEAR, atol=1e-12)
