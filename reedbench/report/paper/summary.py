"""results/paper/summary.md: how much of what papers print was run, what came of it, and where everything lies."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from reedbench.core import paths
from reedbench.report.escaping import escaped, table
from reedbench.report.paper import speedup_text, verdicts
from reedbench.report.paper.speedup import Found
from reedbench.report.paper.text import Page
from reedbench.report.paper.verdicts import Verdict
from reedbench.schema.paper import SPEEDUPS, SUMMARY

EVERYWHERE = "everywhere"


def markdown(pages: Mapping[str, Page], found: Mapping[str, Found], refused: Sequence[str]) -> str:
    """The page.

    Args:
        pages: tables by name.
        found: speed-ups by name.
        refused: own results that cannot be used, a sentence each.
    """
    judged = [verdict for page in pages.values() for verdict in page.verdicts.values()]
    numbers = {row for page in pages.values() for row in page.of.rows}
    lines = [f"# Papers: {verdicts.summary(judged)}", ""]
    sources = len({row.source for row in numbers})
    lines += [f"{len(numbers)} numbers from {sources} papers. How a verdict is reached: docs/paper.md.", ""]
    lines += [*table(["table", "lines", "numbers", *verdicts.VERDICTS], _counts(pages, judged)), ""]
    lines += [f"- {escaped(sentence)}" for sentence in _speedups(found)]
    lines += [f"- Own result left out: {escaped(sentence)}" for sentence in refused]
    return "\n".join(lines) + "\n"


def _counts(pages: Mapping[str, Page], judged: Sequence[Verdict]) -> Iterator[list[str]]:
    """A row for each table; cells that a table has no benchmark for count nowhere."""
    for name, page in pages.items():
        link = Path(paths.paper_table(name)).with_suffix(".md").relative_to(Path(paths.paper(SUMMARY)).parent)
        head = [f"[{escaped(page.of.table.title)}]({link})", str(len(page.of.lines)), str(len(page.of.rows))]
        yield [*head, *_by_verdict(list(page.verdicts.values()) if page.of.table.own else None)]
    total = [EVERYWHERE, str(sum(len(page.of.lines) for page in pages.values()))]
    yield [*total, str(sum(len(page.of.rows) for page in pages.values())), *_by_verdict(judged)]


def _by_verdict(judged: Sequence[Verdict] | None) -> list[str]:
    """How many cells have each verdict."""
    if judged is None:
        return [""] * len(verdicts.VERDICTS)
    counts = Counter(verdicts.of_cells(judged).values())
    return [str(counts[verdict]) for verdict in verdicts.VERDICTS]


def _speedups(found: Mapping[str, Found]) -> Iterator[str]:
    """A sentence for each."""
    for heads in speedup_text.digest(found).rows:
        named, claimed, computed, allowed, *_ = heads
        yield f"{named}: claimed {claimed}, computed {computed}; the points allow {allowed} ({SPEEDUPS})."
