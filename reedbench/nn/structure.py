"""The structure of a batch under a small encoder that is trained to tell real from generated pairs: SADM.

Source: SADM, arXiv:2402.17563 (the two players and the distance between pairwise structures); the encoder, the distance
and the gate are choices of ours, as the paper's were not to be found.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.initialisation import GeneratorFor, as_torch_does, fill
from reedbench.nn.interpolants import data_from_velocity
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor

STRUCTURE = "structure"


class _Reversed(torch.autograd.Function):
    """The same forward, minus the gradient backward: what descends on one side ascends on the other."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The tensor."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Its negative."""
        return -gradient


def reversed_gradient(x: Tensor) -> Tensor:
    """x, whose gradient is reversed."""
    found: Tensor = _Reversed.apply(x)  # type: ignore[no-untyped-call]
    return found


class SpectralConv(nn.Conv2d):
    """A convolution whose weight, as a matrix with a row per output channel, is divided by its largest singular value.

    That is computed anew and exactly in every pass: estimates that move with each pass would be state, and would make
    the loss depend on the number of micro-batches.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, channels, h', w')."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        largest = left[:, 0] @ (matrix @ right[0])  # its derivative is their outer product
        return self._conv_forward(x, self.weight / largest, self.bias)


class StructureEncoder(nn.Sequential):
    """Psi: three convolutions of stride 2 with SiLU, and the mean over the image: (b, c, s, s) -> (b, dim)."""

    def __init__(self, channels: int, dim: int = 64) -> None:
        widths = (channels, dim, dim, dim)
        layers: list[nn.Module] = []
        for inside, outside in pairwise(widths):
            layers += [SpectralConv(inside, outside, 3, stride=2, padding=1), nn.SiLU()]
        super().__init__(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        features: Tensor = super().forward(x)
        return features.mean((2, 3))

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Weights from the generators of their names, by torch's law; biases 0, or features would differ little."""
        as_torch_does(self, generator_for)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                fill(parameter, 0.0)


def structure_distance(real: Tensor, made: Tensor, group: int, gate: Tensor) -> Tensor:
    """Rows (b,) whose mean is D = mean over pairs i != j of a group of m_i m_j (A(real) - A(made))_ij^2.

    Args:
        real: features (b, d) of data; A are the cosines between them.
        made: features of what was predicted of the same rows.
        group: consecutive rows that are compared.
        gate: m, (b,).
    """
    a, b = (_cosines(F.normalize(x, dim=-1).unflatten(0, (-1, group))) for x in (real, made))
    m = gate.unflatten(0, (-1, group))
    squares = (a - b).square() * m[:, :, None] * m[:, None, :]
    apart = 1 - torch.eye(group, dtype=squares.dtype, device=squares.device)
    return (squares * apart).sum(-1).flatten() / (group - 1)


def _cosines(f: Tensor) -> Tensor:
    return f @ f.transpose(-2, -1)


class StructuralNetwork(TappedNetwork):
    """A backbone and Psi, which is asked in the same pass, with its gradient reversed."""

    def __init__(self, backbone: nn.Module, psi: nn.Module) -> None:
        super().__init__(backbone, ())
        self.projectors = nn.ModuleDict({STRUCTURE: psi})  # so named it is no part of what is sampled

    def forward(
        self,
        *inputs: Any,
        wanted: Sequence[int] | None = None,
        real: Tensor | None = None,
        data: Callable[[Tensor], Tensor] | None = None,
        **named: Any,
    ) -> tuple[Tensor, list[Tensor]]:
        """The velocity, and Psi's features of `real` and of the `data` that the velocity means, if these are given."""
        velocity, hidden = super().forward(*inputs, wanted=wanted, **named)
        if real is None or data is None:
            return velocity, hidden
        psi = self.projectors[STRUCTURE]
        player = {name: reversed_gradient(parameter) for name, parameter in psi.named_parameters()}
        pair = torch.cat([real, data(velocity)])
        with torch.autocast(pair.device.type, enabled=False):  # small, and differences of its cosines are smaller
            features = functional_call(psi, player, (pair,))
        return velocity, [*hidden, *features.chunk(2)]


class StructuralLearner(FlowLearner):
    """L = L_denoise + weight D, which the denoiser descends and Psi ascends.

    Args:
        network: the backbone and Psi.
        flow: draws and the velocity error.
        denoise: factor of the velocity loss.
        structure: factor of D.
        group: rows that are compared.
        after: rows count at times t > after.
        rate: learning rate of Psi in units of the run's.
    """

    network: StructuralNetwork

    def __init__(
        self,
        network: StructuralNetwork,
        flow: FlowMatching,
        denoise: Factor,
        structure: Factor,
        group: int,
        after: float,
        rate: float,
    ) -> None:
        super().__init__(network, flow, denoise, {STRUCTURE: structure}, group=group)
        self.after, self.rate = after, rate

    def rates(self) -> Mapping[str, float]:
        """Psi's."""
        return {"projectors.": self.rate}

    def called(self, batch: Batch, network: nn.Module) -> tuple[Tensor, list[Tensor]]:
        """With Psi's features while D is computed."""
        inputs = self.flow.inputs(batch)
        if not self.computes(STRUCTURE):
            return network(*inputs, wanted=[])

        def data(velocity: Tensor) -> Tensor:
            return data_from_velocity(self.flow.part.path, velocity.to(inputs[0].dtype), inputs[0], batch["t"])

        return network(*inputs, wanted=[], real=batch["x_1"], data=data)

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """D, row by row."""
        real, made = hidden
        gate = (batch["t"] > self.after).to(real.dtype)
        return {STRUCTURE: structure_distance(real, made, self.group, gate)}
