"""What runs learn from: runs that must be trained before them, and samples that must be drawn between."""

from collections.abc import Iterable

from reedbench.schema.cells import Cell
from reedbench.schema.runs import Run


def with_teachers(wanted: Iterable[Run]) -> dict[Run, int]:
    """Runs with those that they learn from, which come first; and how many segments are wanted of each."""
    found: dict[Run, int] = {}
    for run in wanted:
        for one in run.lineage:
            found[one.run] = max(found.get(one.run, 0), one.segment + 1)
        found[run] = run.course.segments
    return found


def pools(of: Iterable[Run]) -> dict[Cell, None]:
    """The samples that runs learn from, each once."""
    return dict.fromkeys(pool for run in of if (pool := run.pool) is not None)
