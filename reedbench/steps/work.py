"""Measures a block of work: seconds, and the floating-point operations of torch (matrix products, attention, ...)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch.utils.flop_counter import FlopCounterMode


@dataclass
class Work:
    """Filled at the end of the block."""

    seconds: float = 0.0
    flops: float = 0.0


@contextmanager
def measured() -> Iterator[Work]:
    """Yield what is filled at the end of the block."""
    work, began = Work(), time.monotonic()
    with FlopCounterMode(display=False) as counter:
        yield work
    work.seconds, work.flops = time.monotonic() - began, float(counter.get_total_flops())
