"""What work costs: its seconds, and apart from them the floating-point operations of torch (products, attention, ...).

Counting operations slows torch down by half or more. So a clock is never read around it: operations are counted on a
short pass of its own, over some rows and steps, and scaled to the whole.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from reedbench.core import console
from reedbench.core.clock import Stopwatch
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Material
from reedbench.nn import flops

FEW_ROWS = 16  # of a map from rows to rows
SOME_ROWS = 256  # of a training
FIRST, LAST = 2, 6  # lengths of two short trainings, which differ by some steps


@dataclass
class Work:
    """Device-seconds, filled at the end of the block."""

    seconds: float = 0.0


@contextmanager
def timed(device: str = "cpu") -> Iterator[Work]:
    """Yield what is filled at the end of the block."""
    work, watch = Work(), Stopwatch.start()
    yield work
    work.seconds = watch.device_seconds(device)


def operations(what: Callable[[], object]) -> float:
    """Of a pass, the result and the words of which are thrown away."""
    with flops.counter() as counter, console.muted():
        what()
    return float(counter.get_total_flops())


def operations_per_row(what: Callable[[list[int]], object], rows: Rows) -> float:
    """Of a map over all rows, counted on a few of them, one by one, that stand for all lengths.

    Args:
        what: the map of some rows, whose numbers it is given.
        rows: all of them.
    """
    lengths = rows.lengths()
    if not (count := min(FEW_ROWS, len(rows))):
        return 0.0
    chosen = np.argsort(lengths, kind="stable")[(2 * np.arange(count) + 1) * len(rows) // (2 * count)]
    counted = [operations(partial(what, [row])) for row in chosen.tolist()]
    return sum(counted) * len(rows) / count


def operations_of_training(encoder: AbstractEncoder, train: Material, test: Material, stream: str) -> float:
    """Of `pretrain`, from its first steps on some of the rows.

    What an encoder does once, such as measuring moments, is taken to grow with the rows at which it looks; what it does
    `steps` times, not to.
    """
    steps = int(getattr(encoder, "steps", 0))
    studied, of_test = (encoder.studied_rows(len(material.rows)) for material in (train, test))
    every = 1 if 0 < steps <= LAST else max(1, studied // SOME_ROWS)
    few, others = (_at_hand(part.take(range(0, n, every))) for part, n in ((train, studied), (test, of_test)))

    def of(count: int) -> float:
        short = encoder if count == steps else encoder.model_copy(update={"steps": count})
        return operations(lambda: short.pretrain(few, others, stream))

    scale = studied / encoder.studied_rows(len(few.rows))
    if steps <= LAST:
        return of(steps) * scale
    first, last = of(FIRST), of(LAST)
    per_step = (last - first) / (LAST - FIRST)
    return (first - FIRST * per_step) * scale + steps * per_step


def _at_hand(material: Material) -> Material:
    """With what other encoders say of it, which is no work of the training."""
    return Material(material.rows, material.captions, dict(material.representations))
