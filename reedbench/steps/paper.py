"""paper: the papers' numbers, and own results that measure the same -> results/paper/.

It makes tables, speed-ups, figures and a summary. It reads config/reference, config/paper.yaml and own results that are
there; it asks for none, and needs neither data, weights, torch nor a network.
"""

import csv
from argparse import Namespace
from collections.abc import Iterable, Mapping

from reedbench.core import io, paths
from reedbench.core.provenance import Made
from reedbench.report import markup, published
from reedbench.report.digest import Digest
from reedbench.report.paper import figures, own, speedup, speedup_text, summary, verdicts
from reedbench.report.paper.lines import shown
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.text import Page
from reedbench.schema import citations, papers, runs
from reedbench.schema import paper as schema
from reedbench.schema.citations import Citations
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import Published
from reedbench.schema.suite import Suite

Cites = dict[str, Citations]  # by file


def paper(suite: Suite, arguments: Namespace) -> Made:
    """Write everything."""
    asked, numbers = schema.read(), published.load()
    results = own.read(asked, suite)
    pages = {name: _page(numbers, name, asked, results.cells) for name in asked.tables}
    found = speedup.computed(numbers, asked)
    cites = _tables(pages, suite, asked)
    cites |= _speedups(found)
    cites |= _figures(numbers, suite, asked, results.cells)
    whole = paths.paper(schema.SUMMARY)
    io.write_text(whole, summary.markdown(pages, found, results.refused))
    files = papers.inputs()
    files += dict.fromkeys(file for cell in results.cells for file in cell.files)
    return Made(
        asked.outputs,
        files,
        notes={"verdicts": verdicts.summary(one for page in pages.values() for one in page.verdicts.values())},
        citations=citations.together(cites.values()),
        own_citations=cites,
    )


def _page(numbers: tuple[Published, ...], name: str, asked: Paper, cells: list[OwnCell]) -> Page:
    table = asked.tables[name]
    lines = shown(numbers, name, table)
    judged = verdicts.judge(lines.rows, cells, asked, among=numbers) if table.own else []
    return Page(lines, {one.row: one for one in judged}, asked)


def _tables(pages: Mapping[str, Page], suite: Suite, asked: Paper) -> Cites:
    """Write them; returns what each stands on."""
    cites: Cites = {}
    for name, page in pages.items():
        files = schema.with_text(paths.paper_table(name))
        _write(files, page.digest, page.of.table.title, page.notes)
        io.write_csv(files[0], page.rows, page.columns)
        used = {one.own.benchmark: one.own for one in page.verdicts.values() if one.own is not None}
        stands_on = [_numbers(page.of.rows), *(_measured(suite, asked, cell) for cell in used.values())]
        cites |= dict.fromkeys(files, citations.together(stands_on))
    return cites


def _write(files: list[str], digest: Digest, title: str, notes: list[str]) -> None:
    """The Markdown and the LaTeX of a table."""
    _, markdown, latex = files
    io.write_text(markdown, markup.markdown(digest, title, notes))
    io.write_text(latex, markup.latex(digest, notes))


def _speedups(found: Mapping[str, speedup.Found]) -> Cites:
    """Write them; returns what they stand on."""
    files = schema.with_text(paths.paper(schema.SPEEDUPS))
    _write(files, speedup_text.digest(found), "Training speed-ups that papers claim", speedup_text.notes(found))
    io.write_csv(files[0], speedup_text.rows(found), speedup_text.COLUMNS)
    return dict.fromkeys(files, _numbers(row for one in found.values() for row in (one.claim, *one.rows)))


def _figures(numbers: tuple[Published, ...], suite: Suite, asked: Paper, cells: list[OwnCell]) -> Cites:
    """Draw them; returns what each stands on: the sources in the numbers that it leaves beside it."""
    cites: Cites = {}
    measured = {cell.benchmark: cell for cell in cells}
    for name in asked.drawn:
        files = figures.draw(name, numbers, cells, asked, paths.paper_figure(name))
        with open(files[-1], encoding="utf-8", newline="") as file:
            drawn = [row for row in csv.DictReader(file) if row["source"]]
        stands_on = [
            _measured(suite, asked, measured[row["source"]]) if row["drawn"] == figures.OWN
            else {f"numbers of {row['method']}": [row["source"]]}
            for row in drawn
        ]  # fmt: skip
        cites |= dict.fromkeys(files, citations.together(stands_on))
    return cites


def _numbers(rows: Iterable[Published]) -> Citations:
    """The papers in which numbers were read, by method."""
    return citations.together({f"numbers of {row.method}": [row.source]} for row in rows)


def _measured(suite: Suite, asked: Paper, cell: OwnCell) -> Citations:
    """What own results of a benchmark stand on."""
    benchmark = runs.benchmark(suite, cell.benchmark)
    return citations.of_scores(benchmark, benchmark.runs(asked.measured[cell.benchmark].methods))
