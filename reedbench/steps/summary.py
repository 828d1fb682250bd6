"""What `make demo` shows at its end: the table, where the figures are, and what the work cost."""

from pathlib import Path

from reedbench.core import io, paths, provenance
from reedbench.core.errors import ConfigError, MissingArtefact, unknown
from reedbench.report import speeds
from reedbench.report.digest import Digest, digest
from reedbench.report.notes import notes
from reedbench.report.paired import difference
from reedbench.report.tables import Comparison, compare, shown_ids
from reedbench.schema import planning, reports, settings
from reedbench.schema.runs import Benchmark
from reedbench.steps.gather import facts, load
from reedbench.steps.tabulate import table_file


def summary(benchmark: Benchmark, *, cache: bool) -> tuple[list[list[list[str]]], list[str]]:
    """Rows of the readable table, of one per sampler, and lines to print below: from runs, or from the committed cache.

    Raises:
        MissingArtefact: the table has not been made, or was made under other settings.
    """
    found, origin = _comparison(benchmark, None, cache=cache)
    shown = digest(found)
    samplers = found.table["sampler"].unique()
    by_sampler = {s: [i for i, row in enumerate(shown.rows) if len(samplers) == 1 or row[2] == s] for s in samplers}
    tables = [_turned(shown, chosen) for chosen in by_sampler.values()]
    figure = paths.cached_figure if origin else paths.figure
    lines = [line.replace("Bold: ", "*: ") for line in notes(found)]
    lines.append(f"table    {table_file(benchmark.name, None, cache=bool(origin))} (.md, .tex)")
    pictures = [figure(benchmark.name, name, ".png") for name in reports.figures(benchmark)]
    lines += [f"figure   {picture} (.pdf, .svg, .csv)" for picture in pictures if Path(picture).exists()]
    labels = {method: found.label(method) for method in found.facts["methods"]}
    lines += [f"speed    {line}" for line in speeds.lines(found.source.curves, labels)]
    return tables, [*lines, origin or _costs(benchmark)]


def _turned(shown: Digest, chosen: list[int]) -> list[list[str]]:
    """Some rows of a readable table as columns: a terminal is narrow."""
    lines = [["", *(shown.rows[i][0] for i in chosen)]]
    for j, name in enumerate(shown.columns[1:], 1):
        lines.append([name, *(f"{shown.rows[i][j]}{'*' if (i, j) in shown.best else ''}" for i in chosen)])
    return lines


def paired(benchmark: Benchmark, *, cache: bool, ablation: str | None, against: str | None) -> list[str]:
    """What the seeds show, a sentence per method and metric: each against one of them, at the last step that both have.

    Raises:
        MissingArtefact: the table has not been made, or was made under other settings.
        ConfigError: `against` is not among the methods of the table or ablation.
    """
    found, origin = _comparison(benchmark, ablation, cache=cache)
    methods = list(found.facts["methods"])
    if against is not None and against not in methods:
        raise ConfigError(f"--against: {unknown('method', against, methods)}")
    other = against or found.against
    samplers = list(found.table["sampler"].unique())
    labels = {method: found.label(method) for method in methods}
    steps = {(str(m), str(s)): set(own["step"]) for (m, s), own in found.table.groupby(["method", "sampler"])}
    others, ends = [method for method in methods if method != other], found.facts.get("ends", {})

    def compared(method: str, sampler: str) -> tuple[int, int] | None:
        """Steps of a method and of the other one at which they are; methods of another length at their last ones."""
        own, its = steps.get((method, sampler), set()), steps.get((other, sampler), set())
        if not own or not its:
            return None
        if {method, other} & ends.keys():
            return max(own), max(its)
        return (max(own & its),) * 2 if own & its else None

    lines = []
    for sampler in samplers:
        if len(samplers) > 1:
            lines.append(f"{sampler}:")
        lines += [f"{labels[m]}: not drawn by {sampler}" for m in methods if (m, sampler) not in steps]
        both = {m: at for m in others if (at := compared(m, sampler))}
        for name in shown_ids(found):
            every = (
                difference(found.source, name, m, other, at, sampler, its if {m, other} & ends.keys() else None)
                for m, (at, its) in both.items()
            )
            lines += [one.sentence(labels) for one in every]
    apart = []
    for m in others:
        if not any(compared(m, s) for s in samplers):
            both_draw = any((m, s) in steps and (other, s) in steps for s in samplers)
            why = "no step in common" if both_draw else "no sampler draws from both"
            apart.append(f"{labels[m]} against {labels[other]}: {why}")
    return [*lines, *apart, *([origin] if origin else [])]


def _comparison(benchmark: Benchmark, ablation: str | None, *, cache: bool) -> tuple[Comparison, str]:
    """The comparison behind a table, and a line that says so where it is the committed cache and not runs."""
    words = facts(benchmark, ablation)
    runs, cached = (table_file(benchmark.name, ablation, cache=each) for each in (False, True))
    cache = cache or (not Path(runs).exists() and Path(cached).exists())
    file = cached if cache else runs
    if not Path(file).exists():
        raise MissingArtefact(
            f"{file} does not exist: make it (snakemake --cores 2 {file})"
            + ("" if cache else f", or the one of the committed cache, if there is one (snakemake --cores 2 {cached})")
        )
    provenance.require(io.require(file), settings.key(reports.reporting(benchmark, ablation)))
    source, _ = load(benchmark, reports.with_baseline(benchmark, ablation), cache=cache)
    origin = f"From the committed cache ({paths.cache(benchmark.name)}/), not from runs here." if cache else ""
    return compare(source, words), origin


def _costs(benchmark: Benchmark) -> str:
    """CPU-seconds of the benchmark's jobs (their last attempts), by step."""
    done = [job for job in planning.jobs(benchmark) if provenance.sidecar(job.done).exists()]
    by_step: dict[str, list[float]] = {}
    for job in done:
        by_step.setdefault(job.verb, []).append(float(provenance.cost(job.done)["cpu_seconds"]))
    parts = ", ".join(f"{step} {sum(seconds):.0f} ({len(seconds)} jobs)" for step, seconds in by_step.items())
    return f"CPU-seconds of the jobs: {sum(map(sum, by_step.values())):.0f} = {parts}"
