"""Export the cache of a benchmark: the numbers that tables and figures need, small enough to commit."""

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact
from reedbench.report import source
from reedbench.schema.runs import Benchmark
from reedbench.steps.gather import available, from_runs


def export(benchmark: Benchmark) -> list[str]:
    """Write results/cache/<b>/ from every evaluated cell; returns the files.

    Raises:
        MissingArtefact: the cells of the table are not all there.
    """
    b, cells = benchmark.name, available(benchmark)
    there = set(cells)
    missing = [cell for cell in benchmark.cells(benchmark.shown()) if cell not in there]
    if missing:
        raise MissingArtefact(
            f"{b}: {len(missing)} cells of the table are not evaluated, the first is {missing[0].metrics} "
            f"(try: snakemake --cores 2 {paths.table(b)})"
        )
    whole = {m for m in benchmark.methods if there.issuperset(benchmark.cells([m]))}
    found, inputs = from_runs(benchmark, [cell for cell in cells if cell.run.method in whole], previews=True)
    ablations = [name for name, entry in benchmark.spec.ablations.items() if set(entry.methods) <= whole]
    made_from = {"benchmark": b, "ablations": ablations, "inputs": {file: io.sha256(file) for file in inputs}}
    return source.write_cache(b, found, made_from)
