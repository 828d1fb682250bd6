"""What `make demo` shows at its end: the table, where the figures are, and what the work cost."""

import pandas as pd

from reedbench.core import io, paths, provenance
from reedbench.report import tables
from reedbench.schema import planning, settings
from reedbench.schema.suite import Suite
from reedbench.steps.gather import facts, load, with_baseline


def summary(suite: Suite, b: str) -> tuple[list[list[str]], list[str]]:
    """Rows of the readable table, and lines to print below it.

    Raises:
        MissingArtefact: the table has not been made, or was made under other settings.
    """
    file, words = paths.table(b), facts(suite, b, None)
    provenance.require(file, settings.key(settings.reporting(suite, b, None)))
    source, _ = load(suite, b, with_baseline(suite, b, settings.shown(suite, b, None)), cache=False)
    table = pd.read_csv(io.require(file))
    shown = tables.digest(table, source, words)
    rows = [["", *shown["method"]]] + [[name, *shown[name].astype(str)] for name in shown.columns[1:]]
    lines = [*tables.notes(table, source, words), f"table    {file} (.md, .tex)"]
    lines += [f"figure   {paths.figure(b, figure, '.png')} (.pdf, .svg, .csv)" for figure in settings.figures(suite, b)]
    return rows, [*lines, _costs(suite, b)]


def _costs(suite: Suite, b: str) -> str:
    """CPU-seconds of the benchmark's jobs (their last attempts), by step."""
    done = [job for job in planning.jobs(suite, b) if provenance.sidecar(job.done).exists()]
    by_step: dict[str, list[float]] = {}
    for job in done:
        by_step.setdefault(job.verb, []).append(float(provenance.cost(job.done)["cpu_seconds"]))
    parts = ", ".join(f"{step} {sum(seconds):.0f} ({len(seconds)} jobs)" for step, seconds in by_step.items())
    return f"CPU-seconds of the jobs: {sum(map(sum, by_step.values())):.0f} = {parts}"
