"""The papers' numbers in words: as a table, as csv, and what they cite. `reedbench reference` prints them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from reedbench.core import paths
from reedbench.report import bibliography
from reedbench.schema import published
from reedbench.schema.published_row import COLUMNS, Published

HEAD = ("method", "data", "backbone", "trained", "metric", "value", "sampler", "guidance", "setting", "source", "kind")
ALWAYS = {"method", "value", "source"}
NOT_USED = "*"  # behind a value that another claim to the same cell overrides


def load(folder: Path | str = paths.REFERENCE) -> tuple[Published, ...]:
    """All of them, their sources checked against the bibliography.

    Raises:
        ConfigError: as `schema.published.load`.
    """
    return published.load(folder, known=bibliography.entries())


def table(rows: Sequence[Published], everything: Sequence[Published]) -> tuple[str, list[list[str]]]:
    """What all rows have in common, in words, and the rest as rows of a table, the head first.

    Args:
        rows: what is shown; at least one.
        everything: among which it is decided which claims others override.
    """
    kept = set(published.settled(everything))
    cells = [_cells(row, overridden=row not in kept) for row in rows]
    one = {name for i, name in enumerate(HEAD) if name not in ALWAYS and len({line[i] for line in cells}) == 1}
    common = "; ".join(f"{name} {cell}" for name, cell in zip(HEAD, cells[0], strict=True) if name in one and cell)
    shown = [i for i, name in enumerate(HEAD) if name not in one]
    return common, [[line[i] for i in shown] for line in (HEAD, *cells)]


def _cells(row: Published, *, overridden: bool) -> tuple[str, ...]:
    return (
        row.method,
        row.data,
        row.backbone,
        _trained(row),
        row.metric,
        f"{row.printed}{NOT_USED if overridden else ''}",
        " ".join(str(part) for part in (row.sampler, row.sampler_steps) if part),
        f"{row.guidance} [{row.interval}]" if row.interval else row.guidance,
        row.setting.replace(";", "; "),
        ", ".join(filter(None, (row.source, row.place))),
        f"{row.kind} ({row.tag})",
    )


def _trained(row: Published) -> str:
    """`400K`, `7M`, `80 epochs`."""
    if row.steps is None:
        return f"{row.epochs} epochs" if row.epochs else ""
    return thousands(row.steps)


def thousands(steps: float) -> str:
    """`400K`, `7M`."""
    return f"{steps / 1e6:g}M" if steps >= 1e6 else f"{steps / 1e3:g}K" if steps >= 1e3 else f"{steps:g}"


def as_csv(rows: Sequence[Published]) -> str:
    """The rows as their files have them: `schema.published.load` reads them again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_plain(getattr(row, name)) for name in COLUMNS])
    return text.getvalue()


def _plain(value: str | int | float | None) -> str:
    return "" if value is None else str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def sources(rows: Sequence[Published]) -> list[str]:
    """Keys of the papers in which the rows were read, each once, in their order."""
    return list(dict.fromkeys(row.source for row in rows))


def summary(rows: Sequence[Published], everything: Sequence[Published]) -> str:
    """How many numbers of how many papers, and what the marks mean."""
    kept = set(published.settled(everything))
    overridden = sum(row not in kept for row in rows)
    papers = len(sources(rows))
    words = f"numbers: {len(rows)}, from {papers} source{'s' if papers > 1 else ''} (--bibtex prints them)"
    return f"{words}; {NOT_USED} is a claim that another to the same cell overrides" if overridden else words
