"""Laws that fill one parameter from its own generator, so that a weight depends on its name and seed alone.

Source: Glorot and Bengio 2010, http://proceedings.mlr.press/v9/glorot10a.html (Xavier-uniform).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

# Maps the name of a parameter to the CPU generator that fills it.
GeneratorFor = Callable[[str], torch.Generator]


@torch.no_grad()
def xavier_uniform(parameter: Tensor, generator: torch.Generator) -> None:
    """Fill with U(-a, a), a = sqrt(6 / (rows + columns)), all axes after the first being viewed as columns.

    The draw is made in float32 on the CPU, so that it is the same for every dtype and device.
    """
    bound = math.sqrt(6.0 / (parameter.shape[0] + parameter[0].numel()))
    draw = torch.rand(parameter.shape, generator=generator, dtype=torch.float32)
    parameter.copy_(draw.mul_(2 * bound).sub_(bound))


@torch.no_grad()
def fan_in_uniform(parameter: Tensor, inputs: int, generator: torch.Generator) -> None:
    """Fill with U(-a, a), a = 1 / sqrt(inputs): torch's law for weights and biases of a linear layer."""
    bound = inputs**-0.5
    draw = torch.rand(parameter.shape, generator=generator, dtype=torch.float32)
    parameter.copy_(draw.mul_(2 * bound).sub_(bound))


@torch.no_grad()
def normal(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    """Fill with N(0, std^2), drawn in float32 on the CPU."""
    parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float32).mul_(std))


@torch.no_grad()
def fill(parameter: Tensor, value: float) -> None:
    """Fill with a constant."""
    parameter.fill_(value)
