"""What others got who ran a published method again: differences to the authors' number, with the numbers beside them.

It shows why one number is no reference: runs of one cell lie further apart than methods do, and much of it is how the
samples were drawn.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reedbench.core.errors import MetricError
from reedbench.report import bibliography, panels, style
from reedbench.report.intervals import plain
from reedbench.report.paper.figures import marks
from reedbench.report.paper.lines import DIGITISED
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import KINDS
from reedbench.report.paper.selection import chosen
from reedbench.report.published import thousands
from reedbench.schema.paper import Paper, Tolerance
from reedbench.schema.published import settled
from reedbench.schema.published_row import Published

LINE, REST = 0.37, 1.5  # centimetres: a line, and the axis below all
SHAPES: Final[Mapping[str, tuple[str, str]]] = {
    "sde": ("o", "SDE"), "ode": ("s", "ODE"), "other": ("D", "another sampler"), "": ("^", "sampler not stated"),
}  # fmt: skip


def draw(rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, stem: Path | str) -> list[str]:
    """A block of lines per network, method and training: the authors' number, those of others, own results.

    Raises:
        ConfigError: its table asks for numbers that there are not.
        MetricError: config/paper.yaml names no table for it, or nobody ran again what is in it.
    """
    name = paper.figures.reruns
    if name is None:
        raise MetricError("config/paper.yaml: figures.reruns: names no table, which figure reruns shows; leave it out")
    blocks = _blocks(rows, own, paper, name)
    if not blocks:
        raise MetricError(f"config/paper.yaml: tables.{name}: no cell was run again, which figure reruns shows")
    looks = marks.looks(paper, [block.claim.method for block in blocks])
    published = [row for block in blocks for row in block.rows]
    legend = style.Legend(_legend(blocks, published), marks.WIDTH)
    height = LINE * sum(block.height for block in blocks) + REST + legend.height
    with style.styled() as plt:
        figure = plt.figure(figsize=(marks.WIDTH * style.CENTIMETRE, height * style.CENTIMETRE))
        legend.draw(figure)
        axis = figure.add_subplot()
        _draw(axis, blocks, looks)
        return style.save(figure, stem, [row for block in blocks for row in block.numbers])


@dataclass(frozen=True)
class _Block:
    """Numbers of one cell.

    Attributes:
        claim: its authors' number.
        others: what others got, the lowest first.
        own: own results of the cell.
        tolerance: how far a number may lie from the claim that it reproduces; none where none is stated.
    """

    claim: Published
    others: tuple[Published, ...]
    own: tuple[OwnCell, ...]
    tolerance: Tolerance | None

    @property
    def rows(self) -> tuple[Published, ...]:
        """The published numbers from above."""
        return self.claim, *self.others

    @property
    def height(self) -> int:
        """In lines, with a heading and the space above it."""
        return 2 + len(self.rows) + len(self.own)

    @cached_property
    def title(self) -> str:
        """`REPA on SiT-B/2, 400K steps: 22.38 to 27.33`."""
        low, high = (f(self.rows, key=lambda row: row.value).printed for f in (min, max))
        claim = self.claim
        trained = f"{thousands(claim.steps)} steps" if claim.steps is not None else f"{claim.epochs} epochs"
        return f"{claim.method} on {claim.backbone}, {trained}: {low} to {high}"

    @property
    def numbers(self) -> Iterator[dict[str, Any]]:
        """What is drawn."""
        here = {"cell": self.title, "metric": self.claim.metric, "steps": self.claim.steps or ""}
        claimed = self.claim.value
        for row in self.rows:
            how = {"sampler": row.sampler, "sampler_steps": row.sampler_steps or ""}
            apart = round(row.value - claimed, 6)
            yield {**marks.row_of(row), **here, **how, "difference": apart}
        for cell in self.own:
            said = {"sampler": cell.protocol.sampler, "sampler_steps": cell.protocol.sampler_steps}
            yield {**marks.own_row(cell), **here, **said, "difference": cell.over_seeds.mean - claimed}


def _blocks(rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, name: str) -> list[_Block]:
    """The cells of the table's first metric that somebody else ran, or in which sources differ."""
    table = paper.tables[name]
    metric = table.columns[0]
    found = [row for row in chosen(rows, table.where, table.but, f"tables.{name}") if row.metric == metric]
    cells: dict[tuple[Any, ...], list[Published]] = {}
    for row in found:
        cells.setdefault((row.data, row.backbone, row.method, row.steps or -(row.epochs or 0), row.setting), []).append(
            row
        )
    order = list(table.where.backbone), list(table.where.method)
    blocks = [
        _block(group, own, paper.tolerance.get(metric))
        for group in cells.values()
        if any(row.kind == "claim" for row in settled(group))
    ]
    blocks = [block for block in blocks if block.others]
    places = [[word.lower() for word in words] for words in order]
    return sorted(blocks, key=lambda block: (_place(block.claim.backbone, places[0]), block.claim.steps or 0,
                                             _place(block.claim.method, places[1])))  # fmt: skip


def _place(word: str, words: Sequence[str]) -> int:
    return words.index(word.lower()) if word.lower() in words else len(words)


def _block(rows: Sequence[Published], own: Sequence[OwnCell], tolerance: Tolerance | None) -> _Block:
    """The number that stands for the authors, and each other number of each other source once."""
    claim = next(row for row in settled(rows) if row.kind == "claim")
    others: dict[tuple[str, float], Published] = {}
    for row in rows:
        if row.kind != "copy" and (row.source, row.value) != (claim.source, claim.value):
            others.setdefault((row.source, row.value), row)
    cells = tuple(cell for cell in marks.comparable(own, rows) if cell.measures(claim))
    return _Block(claim, tuple(sorted(others.values(), key=lambda row: row.value)), cells, tolerance)


def _draw(axis: Any, blocks: Sequence[_Block], looks: Mapping[str, style.Look]) -> None:
    """All blocks from above; sources on the left, numbers and how samples were drawn on the right."""
    top = 0.0
    sources: dict[float, str] = {}
    beside: dict[float, str] = {}
    for block in blocks:
        first, last = top + 2, top + block.height - 1
        side = {"transform": axis.get_yaxis_transform(), "va": "center", "fontsize": 7.5, "fontweight": "bold"}
        axis.text(0.5, top + 1, block.title, ha="center", color=looks[block.claim.method].colour, **side)
        if block.tolerance:
            half = block.tolerance.around(block.claim.value)
            axis.fill_betweenx([first - 0.5, last + 0.5], -half, half, color=style.GREY, alpha=0.15, linewidth=0)
        axis.plot([0, 0], [first - 0.5, last + 0.5], color=style.GREY, linewidth=0.9, zorder=1)
        for i, row in enumerate(block.rows):
            at, shape = first + i, SHAPES[_kind(row.sampler)][0]
            marks.published(axis, [(row.value - block.claim.value, at)], [row], looks[row.method], marker=shape)
            sources[at] = _whose(row, block.claim)
            beside[at] = f"{row.printed}  {_drawn(row)}"
        for i, cell in enumerate(block.own):
            at, over, look = first + len(block.rows) + i, cell.over_seeds, looks[cell.method]
            shape = SHAPES[_kind(cell.protocol.sampler.split(" with ")[0])][0]
            ends = [bound - block.claim.value for bound in over.band]
            axis.plot(ends, [at, at], color=look.colour, linewidth=1.4, solid_capstyle="butt", zorder=4)
            place = [over.mean - block.claim.value], [at]
            rim = marks.RIM if cell.imported else {}
            axis.plot(*place, marker=shape, markersize=marks.SIZE, color=look.colour, zorder=4, **rim)
            sources[at] = f"own: {cell.benchmark}{', imported' if cell.imported else ''}"
            beside[at] = f"{plain(over)}  {cell.sampler}"
        top += block.height
    axis.set_yticks(list(sources), list(sources.values()))
    axis.set_ylim(top + 0.2, 0.2)
    right = axis.secondary_yaxis("right")
    right.set_yticks(list(beside), list(beside.values()))
    for side in (axis, right):
        side.tick_params(axis="y", length=0)
    for one in (axis.spines["left"], right.spines["right"]):
        one.set_visible(False)
    label = blocks[0].claim.of.label
    axis.set_xlabel(f"{label} minus the {label} that the method's authors print")


def _whose(row: Published, claim: Published) -> str:
    """`Yu et al. 2025, 2410.06940 (authors)`; the place alone where others tell of it on the authors' pages."""
    known = bibliography.entries()
    whose = known[row.source].short.replace("arXiv:", "") if row.source in known else row.source
    if row.kind == "claim":
        return f"{whose} (authors)"
    return row.place if row.source == claim.source and row.place else whose


def _kind(sampler: str) -> str:
    """Of which kind a sampler is: a key of SHAPES."""
    return next((kind for kind, names in KINDS.items() if sampler in names), "other" if sampler else "")


def _drawn(row: Published) -> str:
    """`SDE, 250 steps`, as far as it is stated."""
    kind = _kind(row.sampler)
    words = [
        SHAPES[kind][1] if kind in KINDS else row.sampler,
        f"{row.sampler_steps} steps" if row.sampler_steps else "",
    ]
    return ", ".join(filter(None, words))


def _legend(blocks: Sequence[_Block], published: Sequence[Published]) -> list[tuple[Any, str]]:
    """What shapes, the band and the line are."""
    from matplotlib.patches import Patch

    own = [cell for block in blocks for cell in block.own]
    kinds = {_kind(row.sampler) for row in published} | {
        _kind(cell.protocol.sampler.split(" with ")[0]) for cell in own
    }
    mark = {"color": style.GREY, "linestyle": "none", "markersize": marks.SIZE}
    entries = [panels.line_entry(words, marker=shape, **mark, **marks.OPEN)
               for kind, (shape, words) in SHAPES.items() if kind in kinds]  # fmt: skip
    if own or any(row.tag == DIGITISED for row in published):
        entries += marks.meanings(published, own)
    if any(block.tolerance for block in blocks):
        entries.append((Patch(color=style.GREY, alpha=0.15, linewidth=0), "band: tolerance of verdicts"))
    return entries
