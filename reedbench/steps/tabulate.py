"""tabulate: metric records and curves -> results/tables/<b>.csv (+ .md, .tex), or the table of an ablation."""

from argparse import Namespace

from reedbench.core import io, paths
from reedbench.core.provenance import Made
from reedbench.report import markup
from reedbench.report.digest import digest
from reedbench.report.notes import notes
from reedbench.report.tables import as_csv, compare
from reedbench.schema import reports
from reedbench.schema.runs import Benchmark
from reedbench.steps.gather import facts, load


def tabulate(benchmark: Benchmark, arguments: Namespace) -> Made:
    """Write the tidy CSV and the readable digests of a table or an ablation."""
    ablation = arguments.ablation
    words = facts(benchmark, ablation)
    source, inputs = load(benchmark, reports.with_baseline(benchmark, ablation), cache=arguments.cache)
    found = compare(source, words)
    out = table_file(benchmark.name, ablation, cache=arguments.cache)
    shown, lines = digest(found), notes(found)
    markdown, latex = paths.siblings(out, ".md", ".tex")
    io.write_text(markdown, markup.markdown(shown, words["title"], lines))
    io.write_text(latex, markup.latex(shown, lines))
    io.write_text(out, as_csv(found))
    return Made([out, markdown, latex], inputs)


def table_file(b: str, ablation: str | None, *, cache: bool) -> str:
    """Where a table goes."""
    if ablation:
        return paths.cached_ablation(b, ablation) if cache else paths.ablation(b, ablation)
    return paths.cached_table(b) if cache else paths.table(b)
