"""Named streams of randomness: every random number is a function of what it is for, never of call order.

A stream is named by its purpose and what it may depend on: benchmark, seed, step or sample index, and
never by the method or the rank, so that all methods of a benchmark see the same data order, noise and times.
"""

import hashlib
from typing import Any


def of(name: str, *parts: str | int) -> int:
    """A 63-bit seed for the stream `name` and its coordinates; the same on every machine and in every version."""
    text = "/".join([name, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(name: str, *parts: str | int) -> Any:
    """A `torch.Generator` on the CPU for the stream (torch is imported here, not with this module)."""
    import torch

    return torch.Generator().manual_seed(of(name, *parts))


def numpy_stream(name: str, *parts: str | int) -> Any:
    """A `numpy.random.Generator` (Philox) for the stream."""
    import numpy as np

    return np.random.Generator(np.random.Philox(of(name, *parts)))
