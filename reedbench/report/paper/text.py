"""The papers' tables in words: a digest for Markdown and LaTeX, and rows for csv in which every number says its source.

The csv is long, one row per number: its line's words, the digits as printed, how it was read, the source with the place
in it, the line of config/reference that holds it, the protocol, and where a table has own results the verdict.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reedbench.report import intervals
from reedbench.report.digest import ARROWS, NONE, Digest
from reedbench.report.paper import remarks
from reedbench.report.paper.lines import Line, Shown
from reedbench.report.paper.verdicts import COLUMNS as OF_VERDICTS
from reedbench.report.paper.verdicts import UNMEASURED, Verdict
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import METRICS, PROTOCOL, Published

WHAT = ("data", "method", "backbone", "steps", "epochs", "setting")
HEADS = {"sampler_steps": "steps of the sampler", "lambda": "weight", "depth": "block"}


@dataclass(frozen=True)
class Page:
    """A table as it is written.

    Attributes:
        of: the table and its lines.
        verdicts: by number; none where the table has no own results.
        paper: config/paper.yaml.
    """

    of: Shown
    verdicts: Mapping[Published, Verdict]
    paper: Paper

    @cached_property
    def sources(self) -> list[str]:
        """Keys of the papers that its numbers are from."""
        return list(dict.fromkeys(line.first.source for line in self.of.lines))

    @cached_property
    def judged(self) -> str | None:
        """The metric whose verdict readers see: the first that has a tolerance."""
        if not self.of.table.own:
            return None
        return next((metric for metric in self.of.table.columns if metric in self.paper.tolerance), None)

    @property
    def digest(self) -> Digest:
        """Lines for people."""
        table = self.of.table
        heads = [HEADS.get(key, key.replace("_", " ")) for key in table.by]
        heads += [_headed(name) for name in table.columns]
        heads += ["kind", "source"]
        if self.judged is not None:
            heads += [f"own {METRICS[self.judged].label}", "verdict"]
        return Digest(tuple(heads), tuple(map(self._row, self.of.lines)), frozenset(), "", ())

    def _row(self, line: Line) -> tuple[str, ...]:
        words = [remarks.word(key, said) or NONE for key, said in zip(self.of.table.by, line.words, strict=True)]
        words += [line.cells[name].printed if name in line.cells else NONE for name in self.of.table.columns]
        tags = ", ".join(dict.fromkeys(row.tag for row in line.cells.values()))
        places = ", ".join(line.places)
        words += [f"{line.first.kind} ({tags})", f"{self.mark(line.first.source)} {places}".strip()]
        return (*words, *self._judged(line))

    def _judged(self, line: Line) -> tuple[str, ...]:
        """Own number and verdict of a line."""
        if self.judged is None:
            return ()
        found = self.verdicts.get(line.cells[self.judged]) if self.judged in line.cells else None
        if found is None or not found.measured:
            return NONE, NONE
        own = NONE if found.own is None else intervals.plain(found.own.over_seeds)
        return own, found.verdict

    def mark(self, source: str) -> str:
        """`[2]`, as the notes number the papers."""
        return f"[{self.sources.index(source) + 1}]"

    @property
    def notes(self) -> list[str]:
        """What a reader must know, a line each."""
        return [" ".join(line.split()) for line in remarks.of_table(self.of, self.mark, self.sources, self._why())]

    def _why(self) -> list[str]:
        """Reasons of the verdicts that readers see, where something was run."""
        if self.judged is None:
            return []
        said = []
        for line in self.of.lines:
            found = self.verdicts.get(line.cells[self.judged]) if self.judged in line.cells else None
            if found is not None and found.own is not None:
                said.append(f"{remarks.named(line, self.of.table)}: {found.verdict}: {found.why}.")
        return said

    @property
    def columns(self) -> list[str]:
        """Columns of the csv."""
        by = self.of.table.by
        first = [*by, *(name for name in WHAT if name not in by), "metric", "value", "unit", "better", "kind", "tag"]
        protocol = [name for name in PROTOCOL if name not in by]
        return [*first, "source", "place", "row", *protocol, "note", *(OF_VERDICTS if self.of.table.own else ())]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows of the csv."""
        return [self._number(line, row) for line in self.of.lines for row in line.cells.values()]

    def _number(self, line: Line, row: Published) -> dict[str, Any]:
        plain = {
            name: getattr(row, name) for name in (*WHAT, *PROTOCOL, "metric", "kind", "tag", "source", "place", "note")
        }
        says = {**plain, "value": row.printed, "unit": row.of.unit, "better": row.of.better, "row": row.at}
        says |= dict(zip(self.of.table.by, line.words, strict=True))
        if self.of.table.own:
            said = self.verdicts[row].columns
            says |= said if self.verdicts[row].measured else {"verdict": "", "why": UNMEASURED}
        return {name: value for name, value in says.items() if name in self.columns and value not in (None, "")}


def _headed(name: str) -> str:
    """`FID ↓`, `sequence recovery (%) ↑`."""
    metric = METRICS[name]
    unit = f" ({metric.unit})" if metric.unit not in ("", "share") else ""
    return f"{metric.label}{unit} {ARROWS.get(metric.better, '')}".strip()
