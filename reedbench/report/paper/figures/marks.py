"""What the figures of papers share: a method's look, open and filled marks, and which own results belong to numbers."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from reedbench.report import panels, style
from reedbench.report.paper.lines import DIGITISED
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import contradict, of_row
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import Published

PAPER, OWN = "paper", "own"  # what is drawn, in the csv of a figure; its source is a citation key, or a benchmark
WIDTH: Final = 15.0  # centimetres: the words can still be read where a web page shows the figure small
OPEN: Final[dict[str, Any]] = {"markerfacecolor": "white", "markeredgewidth": 0.9}
RIM: Final[dict[str, Any]] = {"markeredgecolor": "black", "markeredgewidth": 0.9}
SIZE: Final = 5.0  # of a mark, in points
DOT: Final[dict[str, Any]] = {"marker": ".", "markersize": 2.4, "markeredgewidth": 0, "linestyle": "none"}


def looks(paper: Paper, methods: Iterable[str]) -> dict[str, style.Look]:
    """How each of these methods is drawn.

    Those that benchmarks of the suite measure look the same in all figures; others get the colours that are left.
    """
    measured = dict.fromkeys(method for one in paper.measured.values() for method in one.methods.values())
    places, wanted = {name: place for place, name in enumerate(measured)}, dict.fromkeys(methods)
    count = len(style.COLOURS)
    taken = {places[name] % count for name in wanted if name in places}
    free = (place for place in itertools.count() if place % count not in taken or len(taken) == count)
    own = {name: style.look(places[name]) for name in places if name in wanted}
    return own | {name: style.look(next(free)) for name in wanted if name not in places}


def published(
    axis: Any, at: Sequence[tuple[float, float]], rows: Sequence[Published], look: style.Look, *, marker: str = ""
) -> None:
    """Open marks of published numbers, with a dot where one was read off a figure.

    Args:
        axis: to draw on.
        at: where they stand.
        rows: the numbers.
        look: of the method.
        marker: the shape, where it is not the method's.
    """
    shape = {"marker": marker or look.marker, "markersize": SIZE, "linestyle": "none", "color": look.colour, **OPEN}
    axis.plot(*zip(*at, strict=True), **shape, zorder=3)
    if inside := [place for place, row in zip(at, rows, strict=True) if row.tag == DIGITISED]:
        axis.plot(*zip(*inside, strict=True), color=look.colour, **DOT, zorder=3.1)


def own_results(axis: Any, x: Sequence[float], cells: Sequence[OwnCell], look: style.Look) -> None:
    """Filled marks of own results in front, with their intervals; those of own training are joined by a line."""
    over = [cell.over_seeds for cell in cells]
    axis.vlines(x, *zip(*(one.band for one in over), strict=True), color=look.colour, linewidth=1.4, zorder=4)
    trained = [(at, one.mean) for at, one, cell in zip(x, over, cells, strict=True) if not cell.imported]
    imported = [(at, one.mean) for at, one, cell in zip(x, over, cells, strict=True) if cell.imported]
    if trained:
        axis.plot(*zip(*trained, strict=True), **{**look.line, "markersize": SIZE}, zorder=4)
    if imported:
        axis.plot(
            *zip(*imported, strict=True), **{**look.line, "markersize": SIZE, "linestyle": "none", **RIM}, zorder=4
        )


def comparable(own: Iterable[OwnCell], rows: Sequence[Published]) -> list[OwnCell]:
    """Own results of what one of these numbers is of (method, network, data, metric), not against its protocol."""
    names = ("data", "backbone", "method", "metric")
    return [
        cell
        for cell in own
        if any(
            all(getattr(cell, name) == getattr(row, name) for name in names)
            and not row.setting
            and not contradict(cell.protocol, of_row(row))
            for row in rows
        )
    ]


def row_of(row: Published) -> dict[str, Any]:
    """A published number as the csv of a figure has it: the digits, and where they are from."""
    return {"drawn": PAPER, "method": row.method, "backbone": row.backbone, "value": row.printed, "source": row.source,
            "place": row.place, "kind": row.kind, "tag": row.tag, "note": row.note, "row": row.at}  # fmt: skip


def own_row(cell: OwnCell) -> dict[str, Any]:
    """An own result as the csv of a figure has it: mean and interval, and the benchmark that has it."""
    over = cell.over_seeds
    return {"drawn": OWN, "method": cell.method, "backbone": cell.backbone, "value": over.mean,
            "source": cell.benchmark, "kind": "imported" if cell.imported else "own", "low": over.low,
            "high": over.high, "interval": over.kind}  # fmt: skip


def meanings(rows: Iterable[Published], own: Sequence[OwnCell]) -> list[tuple[Any, str]]:
    """What open, dotted and filled marks mean, for the legend: of each only if there is one."""
    mark = {"color": style.GREY, "marker": "o", "markersize": SIZE, "linestyle": "none"}
    found = [panels.line_entry("open: printed by papers", **mark, **OPEN)]
    if any(row.tag == DIGITISED for row in rows):
        found.append((_dotted(mark), "dot inside: read off a figure"))
    if own:
        found.append(panels.line_entry("filled: own results", **mark))
        if any(cell.imported for cell in own):
            found.append(panels.line_entry("black rim: of published weights", **mark, **RIM))
        words = filter(None, (panels.bounds(count) for count in sorted({len(cell.values) for cell in own})))
        found += [panels.line_entry(f"with {said}", color=style.GREY, linewidth=1.4) for said in words]
    return found


def _dotted(mark: Mapping[str, Any]) -> Any:
    """Handle of a mark with a dot: two marks in one place."""
    from matplotlib.lines import Line2D

    return (Line2D([], [], **{**mark, **OPEN}), Line2D([], [], color=mark["color"], **DOT))
