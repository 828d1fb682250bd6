"""Export the cache of a benchmark: the numbers that tables and figures need, small enough to commit."""

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from reedbench.core import io, paths
from reedbench.core.errors import MetricError, MissingArtefact
from reedbench.report import source
from reedbench.report.source import Source
from reedbench.schema.runs import Benchmark
from reedbench.steps.gather import available, check_settings, from_runs


def export(benchmark: Benchmark, *, keep: bool = False) -> list[str]:
    """Write results/cache/<b>/ from every method all of whose cells are evaluated; returns the files.

    With `keep`, methods that the cache has and that were not run here stay in it, if they still are what the
    configuration describes.

    Raises:
        MissingArtefact: the cells of the table are not all there, or kept ones were made under other settings.
        MetricError: a kept method was measured under another protocol.
    """
    b, cells = benchmark.name, available(benchmark)
    there = set(cells)
    whole = {m for m in benchmark.methods if there.issuperset(benchmark.cells([m]))}
    kept = _kept(benchmark, whole) if keep else []
    missing = [cell for cell in benchmark.cells(benchmark.shown()) if cell not in there and cell.run.method not in kept]
    if missing:
        raise MissingArtefact(
            f"{b}: {len(missing)} cells of the table are not evaluated, the first is {missing[0].metrics} "
            f"(try: snakemake --cores 2 {paths.table(b)})"
        )
    if not whole:
        raise MissingArtefact(f"{b}: nothing of it has been run here, so that there is nothing to export")
    found, files = from_runs(benchmark, [cell for cell in cells if cell.run.method in whole], previews=True)
    inputs = {file: io.sha256(file) for file in files}
    if kept:
        found = _joined(found, source.read_cache(b).only([cell.place for m in kept for cell in benchmark.cells([m])]))
        check_settings(benchmark, found, "run their methods here, or export without --keep")
        before = io.read_object(paths.cache_record(b), {"inputs": dict})["inputs"]
        of_kept = {f"/{b}/{method}/" for method in kept}
        inputs = {file: one for file, one in before.items() if any(part in file for part in of_kept)} | inputs
    shown = whole | set(kept)
    ablations = [name for name, entry in benchmark.spec.ablations.items() if set(entry.methods) <= shown]
    return source.write_cache(b, found, {"benchmark": b, "ablations": ablations, "inputs": inputs})


def _kept(benchmark: Benchmark, whole: Collection[str]) -> list[str]:
    """Methods of the cache that were not run here."""
    cached = set(source.read_cache(benchmark.name).metrics["method"])
    return [method for method in benchmark.methods if method in cached and method not in whole]


def _joined(here: Source, kept: Source) -> Source:
    """What was run here and what is kept, with the floor and the real data of what was run here."""
    metrics = pd.concat([kept.metrics[kept.metrics["method"] != source.FLOOR], here.metrics], ignore_index=True)
    for name, protocols in metrics[metrics["method"] != source.FLOOR].groupby("metric")["protocol"]:
        if protocols.nunique() > 1:
            raise MetricError(f"{name}: the cache has it under another protocol; run its methods here")
    curves = pd.concat([kept.curves, here.curves], ignore_index=True)
    return replace(here, metrics=metrics, curves=curves, preview={**kept.preview, **here.preview})
