"""Laws that fill one parameter from its own generator, so that a weight depends on its name and seed alone.

Source: Glorot and Bengio 2010, http://proceedings.mlr.press/v9/glorot10a.html (Xavier-uniform).
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from reedbench.nn import draws

# Maps the name of a parameter to the generator that fills it.
GeneratorFor = Callable[[str], np.random.Generator]


@torch.no_grad()
def xavier_uniform(parameter: Tensor, generator: np.random.Generator) -> None:
    """Fill with U(-a, a), a = sqrt(6 / (rows + columns)), all axes after the first being viewed as columns.

    The draw is made in float32 on the CPU, so that it is the same for every dtype and device.
    """
    if parameter.is_meta:  # has a shape and no values: nothing to draw
        return
    bound = math.sqrt(6.0 / (parameter.shape[0] + parameter[0].numel()))
    parameter.copy_(draws.uniform(generator, *parameter.shape).mul_(2 * bound).sub_(bound))


@torch.no_grad()
def fan_in_uniform(parameter: Tensor, inputs: int, generator: np.random.Generator) -> None:
    """Fill with U(-a, a), a = 1 / sqrt(inputs): torch's law for linear layers and convolutions."""
    if parameter.is_meta:
        return
    bound = inputs**-0.5
    parameter.copy_(draws.uniform(generator, *parameter.shape).mul_(2 * bound).sub_(bound))


def as_torch_does(network: nn.Module, generator_for: GeneratorFor) -> None:
    """Fill linear layers and convolutions by torch's own law, each parameter from the generator of its name."""
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            inputs = layer.weight[0].numel()
            for own, parameter in layer.named_parameters(recurse=False):
                fan_in_uniform(parameter, inputs, generator_for(f"{name}.{own}"))


@torch.no_grad()
def normal(parameter: Tensor, std: float, generator: np.random.Generator) -> None:
    """Fill with N(0, std^2), drawn in float32 on the CPU."""
    if not parameter.is_meta:
        parameter.copy_(draws.normal(generator, *parameter.shape).mul_(std))


@torch.no_grad()
def fill(parameter: Tensor, value: float) -> None:
    """Fill with a constant."""
    parameter.fill_(value)
