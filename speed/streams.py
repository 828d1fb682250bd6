"""What drawing the noise of a batch costs: torch's generator, one Philox for all, and one Philox per row.

Prints milliseconds for 256 latents of 4x32x32, the median of interleaved rounds, and their ratios; then what a rank of
eight pays for its own share, and what 50,000 samples pay for having streams of their own.

    python speed/streams.py [rounds]
"""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from reedbench.core import seeds

ROWS, SHAPE, RANKS, SAMPLES = 256, (4, 32, 32), 8, 50_000


def whole_by_torch() -> None:
    """As it was: the seed of this generator has 32 bits that count."""
    torch.randn(ROWS, *SHAPE, generator=torch.Generator().manual_seed(1))


def whole_by_philox() -> None:
    """One counter for all rows."""
    seeds.stream("noise", 1).standard_normal((ROWS, *SHAPE), dtype=np.float32)


def per_row() -> None:
    """One counter per row: a rank can draw its own."""
    seeds.rows(range(ROWS), "noise", 1).normal(*SHAPE)


def share_of_a_rank() -> None:
    """The rows of one of eight ranks."""
    seeds.rows(range(ROWS // RANKS), "noise", 1).normal(*SHAPE)


def milliseconds(ways: list[Callable[[], None]], rounds: int) -> dict[str, float]:
    """Median of each, one round of all after the other."""
    found: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            began = time.perf_counter()
            way()
            found[way.__name__].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Print."""
    torch.set_num_threads(1)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    found = milliseconds([whole_by_torch, whole_by_philox, per_row, share_of_a_rank], rounds)
    for name, time_ in found.items():
        print(f"{name:18s} {time_:7.2f} ms   {time_ / found['whole_by_torch']:5.2f} of torch's")
    began = time.perf_counter()
    seeds.rows(range(SAMPLES), "sample", "x", 0)
    print(f"{SAMPLES} streams of samples: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
