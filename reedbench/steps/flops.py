"""Counts the floating-point operations of what torch does in a block: matrix products, convolutions, attention."""

from collections.abc import Iterator
from contextlib import contextmanager


class Count:
    """The number of operations, once the block has ended."""

    flops: float = 0.0


@contextmanager
def counted() -> Iterator[Count]:
    """Yield a count that is filled at the end of the block."""
    from torch.utils.flop_counter import FlopCounterMode

    count = Count()
    with FlopCounterMode(display=False) as counter:
        yield count
    count.flops = float(counter.get_total_flops())
