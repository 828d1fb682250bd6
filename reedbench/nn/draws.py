"""Random tensors from numpy's generators, on the CPU: the same numbers whatever the device."""

import numpy as np
import torch
from torch import Tensor


def uniform(generator: np.random.Generator, *shape: int) -> Tensor:
    """U[0, 1), float32."""
    return torch.from_numpy(generator.random(shape, dtype=np.float32))


def normal(generator: np.random.Generator, *shape: int) -> Tensor:
    """N(0, 1), float32."""
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def integers(generator: np.random.Generator, high: int, *shape: int) -> Tensor:
    """0 .. high - 1, int64."""
    return torch.from_numpy(generator.integers(high, size=shape))
