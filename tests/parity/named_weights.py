"""Weights that are a function of their names, with which the reference was run too (specs/protein.md, section 9)."""

from zlib import crc32

import numpy as np
import torch
from torch import Tensor


def named_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    """Normal numbers from the checksum of the name, scaled as fits its role."""
    draw = np.random.RandomState(crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        draw = draw / np.sqrt(shape[-1])
    elif name.endswith("weight") and ("norm" in name or name.endswith("W_edge.0.weight")):
        draw = 1 + 0.1 * draw
    else:
        draw = 0.1 * draw
    return torch.from_numpy(draw.astype(np.float32))
