"""Export the cache of a benchmark: the numbers that tables and figures need, small enough to commit."""

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact
from reedbench.report import source
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.gather import available, from_runs


def export(suite: Suite, b: str) -> list[str]:
    """Write results/cache/<b>/ from every evaluated cell; returns the files.

    Raises:
        MissingArtefact: the cells of the table are not all there.
    """
    cells = available(suite, b)
    missing = [cell for cell in settings.cells(suite, b, settings.shown(suite, b, None)) if cell not in cells]
    if missing:
        raise MissingArtefact(
            f"{b}: {len(missing)} cells of the table are not evaluated, the first is {paths.metrics(b, *missing[0])} "
            f"(try: snakemake --cores 2 {paths.table(b)})"
        )
    whole = _whole_methods(suite, b, cells)
    found, inputs = from_runs(suite, b, [cell for cell in cells if cell[0] in whole], previews=True)
    ablations = [name for name, entry in suite.benchmark(b).ablations.items() if set(entry.methods) <= whole]
    made_from = {"benchmark": b, "ablations": ablations, "inputs": {file: io.sha256(file) for file in inputs}}
    return source.write_cache(b, found, made_from)


def _whole_methods(suite: Suite, b: str, cells: list[source.Cell]) -> set[str]:
    """Methods all of whose cells are there."""
    every = settings.all_methods(suite, b)
    return {m for m in every if all(cell in cells for cell in settings.cells(suite, b, (m,)))}
