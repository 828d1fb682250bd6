"""What `make demo` shows at its end: the table, where the figures are, and what the work cost."""

import pandas as pd

from reedbench.core import io, paths, provenance
from reedbench.report import tables
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.schema.versions import FIGURES
from reedbench.steps.gather import facts, load, with_baseline


def summary(suite: Suite, b: str) -> tuple[list[list[str]], list[str]]:
    """Rows of the readable table, and lines to print below it."""
    methods = settings.shown(suite, b, None)
    words = facts(suite, b, methods)
    everything, _ = load(suite, b, with_baseline(suite, b, methods), cache=False)
    table = pd.read_csv(io.require(paths.table(b)))
    shown = tables.digest(table, everything, words)
    rows = [["", *shown["method"]]] + [[name, *shown[name].astype(str)] for name in shown.columns[1:]]
    lines = [*tables.notes(table, everything, words), f"table    {paths.table(b)} (.md, .tex)"]
    lines += [f"figure   {paths.figure(b, figure, '.png')} (.pdf, .svg, .csv)" for figure in FIGURES]
    return rows, [*lines, *_costs()]


def _costs() -> list[str]:
    records = list(provenance.costs(paths.RESULTS))
    by_step: dict[str, list[float]] = {}
    for record in records:
        by_step.setdefault(record["step"], []).append(float(record["cpu_seconds"]))
    parts = ", ".join(f"{step} {sum(seconds):.0f} ({len(seconds)} jobs)" for step, seconds in by_step.items())
    return [f"CPU-seconds of all jobs: {provenance.total(records, 'cpu_seconds'):.0f} = {parts}"]
