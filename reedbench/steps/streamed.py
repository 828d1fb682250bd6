"""A heavy step as a stream of parts: processes share them, a finished one outlives a kill, the first process records.

What a part took is kept beside it, so that a step that was killed ten times costs what its parts cost.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from reedbench.core import interruption, io, paths
from reedbench.core.console import Track
from reedbench.core.errors import Paused
from reedbench.core.parts import Parts
from reedbench.core.provenance import cpu_seconds
from reedbench.core.staging import staged
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.steps.work import timed
from reedbench.training.ranks import Ranks, joined

COST = ".json"


@contextmanager
def company(device: str) -> Iterator[Ranks]:
    """The processes that share the step; asked to leave inside, they finish the parts that they are at."""
    with joined(device) as ranks, interruption.deferred():
        yield ranks


@contextmanager
def filled(
    parts: Parts,
    ranks: Ranks,
    make: Callable[[int, Path], object],
    sizes: Sequence[int],
    unit: str = "row",
    holds: Callable[[int], bool] = lambda number: True,
) -> Iterator[None]:
    """Make the parts that are missing, each process its own; inside the block all of them are there.

    Nobody else makes or deletes them until the block ends.

    Args:
        parts: of the output.
        ranks: the processes.
        make: makes one part, given its number and the path to write it to.
        sizes: of each part, for the progress that is shown.
        unit: of sizes.
        holds: whether a part that is there already is still right, given its number; else it is made again.

    Raises:
        Paused: asked to leave; on all processes.
        RunAgain: somebody else makes the same parts.
    """
    with ExitStack() as stack:

        def begin() -> int:
            stack.enter_context(parts.held())
            stale = [i for i in set(range(parts.count)).difference(parts.missing()) if not holds(i)]
            for number in stale:
                parts.file(number).unlink()
            return len(stale)

        ranks.lead(begin)  # the first process holds the lock for all
        left, at_the_end, paused = parts.missing(), ranks.patient(), None
        ranks.barrier()  # nobody makes one before all have seen which are missing
        try:
            _make(parts, ranks.device, left[ranks.rank :: ranks.world], make, sizes, unit)
        except Paused as error:
            paused = error
        if at_the_end(paused is not None):
            raise ranks.together(paused or Paused(f"{'/'.join(parts.names)}: paused; run again to go on"))
        yield


def _make(
    parts: Parts,
    device: str,
    mine: Sequence[int],
    make: Callable[[int, Path], object],
    sizes: Sequence[int],
    unit: str,
) -> None:
    done = 0
    with Track("/".join(parts.names), sum(sizes[number] for number in mine), unit=unit) as track:
        for number, part in parts.make(mine):
            with timed(device) as work:
                make(number, part)
            cost = io.canonical_json({"device_seconds": work.seconds})
            io.write_text(parts.beside(number, COST), cost, in_place=True, shared=True)
            track.update(done := done + sizes[number])


def published(folder: str, parts: Parts, train: Rows, facts: Mapping[str, Any]) -> list[str]:
    """Publish parts as the shards of a folder with one row per training row, and then its index; returns both."""
    with io.atomic_directory(paths.shards(folder)) as whole:
        parts.link(whole)
    index = {
        **facts,
        "rows": len(train),
        "train_ids": rows.ids_digest(train.ids),
        "shards": io.sha256(staged(paths.shards(folder))),
    }
    io.write_json(paths.index(folder), index)
    return [paths.shards(folder), paths.index(folder)]


def device_seconds(parts: Parts, ranks: Ranks, before: float = 0.0) -> float:
    """What all parts took, whichever process made them and when, and what each process of today did `before` them."""
    begun = ranks.total(torch.tensor([before], dtype=torch.float64)).item()
    return begun + sum(io.read_json(parts.beside(number, COST))["device_seconds"] for number in range(parts.count))


def all_cpu_seconds(ranks: Ranks) -> Callable[[], float]:
    """CPU time of all processes: that of the others until now, and of this one until it is asked for."""
    mine = cpu_seconds()
    others = float(ranks.total(torch.tensor([mine], dtype=torch.float64)).item()) - mine
    return lambda: others + cpu_seconds()
