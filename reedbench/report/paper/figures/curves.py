"""How good methods are after how much training, in the papers' points, and the speed-ups that follow from these.

A panel holds the speed-ups between curves of one data set, network, metric and axis. An arrow runs from the point whose
cost is divided to the point by whose cost; faint bars along it are where the curves may truly reach the target, which
the printed points leave open.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.paper import speedup
from reedbench.report.paper.figures import marks
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import of_row
from reedbench.report.paper.speedup import Curve, Found
from reedbench.report.published import thousands
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import Published

PANEL: Final = 6.4  # centimetres
LEVEL = 0.125  # of the height of a panel: between arrows
EDGE: Final = {
    "lower": 0.06,
    "higher": 0.12,
}  # between its edge and an arrow, by which way is better: words stand above
MANY = 3.0  # times the least that the largest value is where the axis is logarithmic
AXES: Final[Mapping[str, str]] = {"steps": "training steps", "epochs": "epochs"}


def draw(rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, stem: Path | str) -> list[str]:
    """One panel per data set, network, metric and axis of the speed-ups of config/paper.yaml.

    Raises:
        ConfigError: as `speedup.computed`.
        MetricError: there are no speed-ups.
    """
    found = speedup.computed(rows, paper)
    if not found:
        raise MetricError(
            "config/paper.yaml: speedups: there are none, which figure curves shows; leave the figure out"
        )
    shown = [_Panel(group, own) for group in _grouped(found)]
    looks = marks.looks(paper, [method for panel in shown for method in panel.curves])
    legend = style.Legend(_legend(shown, looks), marks.WIDTH)
    with style.styled() as plt:
        axes = _sheet(plt, len(shown), legend)
        for axis, panel in zip(axes, shown, strict=True):
            panel.draw(axis, looks)
        numbers = [row for panel in shown for row in panel.rows]
        return style.save(axes[0].get_figure(root=True), stem, numbers)


def _grouped(found: Mapping[str, Found]) -> list[dict[str, Found]]:
    """Speed-ups that stand in one panel, in the order of the file."""
    groups: dict[tuple[str, ...], dict[str, Found]] = {}
    for name, one in found.items():
        first = one.start[1]
        key = (first.data, first.backbone, first.metric, one.asked.axis, _guided(one.rows))
        groups.setdefault(key, {})[name] = one
    return list(groups.values())


def _guided(rows: Iterable[Published]) -> str:
    """Words on guidance; none where it does not apply or is not known of all."""
    said = {of_row(row).is_guided for row in rows}
    return "with guidance" if said == {True} else "without guidance" if said == {False} else ""


def _sheet(plt: Any, count: int, legend: style.Legend) -> list[Any]:
    """Axes two by two above the legend; the first is wide where the number is odd."""
    lines = -(-count // 2)
    figure = plt.figure(figsize=(marks.WIDTH * style.CENTIMETRE, (lines * PANEL + legend.height) * style.CENTIMETRE))
    legend.draw(figure)
    grid, wide = figure.add_gridspec(lines, 2), count % 2
    places = [grid[0, :]] if wide else []
    places += [grid[i // 2, i % 2] for i in range(2 * wide, 2 * lines)]
    return [figure.add_subplot(place) for place in places]


@dataclass(frozen=True)
class _Panel:
    """Speed-ups of one panel by name, and all own results."""

    found: Mapping[str, Found]
    everything: Sequence[OwnCell]

    @cached_property
    def first(self) -> Found:
        """The first of them: in data, network, metric and axis they agree."""
        return next(iter(self.found.values()))

    @cached_property
    def curves(self) -> dict[str, Curve]:
        """By method, the baselines first; of a method of several speed-ups the curve that has most points."""
        curves: dict[str, Curve] = {}
        pairs = [(one.asked.baseline, one.baseline) for one in self.found.values()]
        for name, curve in [*pairs, *((one.asked.method, one.method) for one in self.found.values())]:
            if name not in curves or len(curve.points) > len(curves[name].points):
                curves[name] = curve
        return curves

    @cached_property
    def own(self) -> dict[str, list[OwnCell]]:
        """Own results by method, at rising cost, those that could be one of the curves' points."""
        return {
            name: sorted(cells, key=lambda cell: cell.steps)
            for name, curve in self.curves.items()
            if (cells := marks.comparable(self.everything, [row for _, row in curve.points]))
        }

    @cached_property
    def published(self) -> list[Published]:
        """Every number of the curves."""
        return [row for curve in self.curves.values() for _, row in curve.points]

    @property
    def title(self) -> str:
        """`imagenet-256, SiT-XL/2, without guidance`."""
        row = self.first.start[1]
        return ", ".join(filter(None, (row.data, row.backbone, _guided(self.published))))

    def cost(self, cell: OwnCell) -> float:
        """What an own result had cost on the panel's axis."""
        return cell.steps if self.first.asked.axis == "steps" else cell.steps / cell.epoch

    def draw(self, axis: Any, looks: Mapping[str, style.Look]) -> None:
        """Curves, own results above them, and an arrow for each speed-up."""
        for name, curve in self.curves.items():
            look, rows = looks[name], [row for _, row in curve.points]
            at = [(cost, row.value) for cost, row in curve.points]
            axis.plot(*zip(*at, strict=True), **{**look.plain_line, "linewidth": 0.9}, zorder=2)
            marks.published(axis, at, rows, look)
        for name, cells in self.own.items():
            marks.own_results(axis, [self.cost(cell) for cell in cells], cells, looks[name])
        of = self.first.start[1].of
        self._scales(axis, of.better)
        _arrows(axis, list(self.found.values()), looks, of.better)
        unit = f" ({of.unit})" if of.unit else ""
        axis.set_title(self.title)
        axis.set_xlabel(AXES[self.first.asked.axis])
        axis.set_ylabel(f"{of.label}{unit}\n{of.better} is better")

    def _scales(self, axis: Any, better: str) -> None:
        """The axes, with room for the arrows on the side of what is better."""
        axis.margins(x=0.06, y=0.06)
        panels.plain_log_x(axis, thousands)
        values = [row.value for row in self.published]
        room = EDGE[better] + LEVEL * len(self.found)
        if logarithmic := better == "lower" and min(values) > 0 and max(values) > MANY * min(values):
            axis.set_yscale("log")
        to, back = axis.transData.transform, axis.transData.inverted().transform
        (_, low), (_, high) = (to((1.0, value)) for value in axis.get_ylim())
        more = room / (1 - room) * (high - low)
        ends = (low - more, high) if better == "lower" else (low, high + more)
        axis.set_ylim(*(float(back((0.0, end))[1]) for end in ends))
        if logarithmic:
            panels.plain_log(axis)
        else:
            axis.locator_params(axis="y", nbins=6)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The numbers that are drawn."""
        rows: list[dict[str, Any]] = []
        here = {"panel": self.title, "metric": self.first.asked.metric, "axis": self.first.asked.axis}
        for curve in self.curves.values():
            rows += [{**marks.row_of(row), **here, "cost": cost} for cost, row in curve.points]
        for cells in self.own.values():
            rows += [{**marks.own_row(cell), **here, "cost": self.cost(cell)} for cell in cells]
        for name, one in self.found.items():
            rows.append({"drawn": "speed-up", **here, "method": one.asked.method, "value": one.ratio, "low": one.low,
                         "high": one.high, "name": name, "baseline": one.asked.baseline, "target": one.target,
                         "from": one.start[0], "to": one.end[0], "straight": one.straight, "smooth": one.smooth,
                         "claimed": one.claim.printed, "source": one.claim.source,
                         "place": one.claim.place})  # fmt: skip
        return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _arrows(axis: Any, found: Sequence[Found], looks: Mapping[str, style.Look], better: str) -> None:
    """An arrow for each speed-up, the longest at the edge, so that the lines to the points cross no other arrow."""
    from matplotlib.transforms import blended_transform_factory

    across = blended_transform_factory(axis.transData, axis.transAxes)
    back = axis.transAxes.inverted().transform
    for i, one in enumerate(sorted(found, key=lambda one: one.ratio, reverse=True)):
        inner = EDGE[better] + LEVEL * i
        height = inner if better == "lower" else 1 - inner
        ours, theirs = looks[one.asked.method], looks[one.asked.baseline]
        for (cost, row), look in ((one.start, theirs), (one.end, ours)):
            top = float(back(axis.transData.transform((cost, row.value)))[1])
            axis.plot([cost, cost], [height, top], transform=across, color=look.colour, linewidth=0.8,
                      linestyle=(0, (1, 1.5)), zorder=1)  # fmt: skip
        for curve, look in ((one.baseline, theirs), (one.method, ours)):
            if curve.before is not None:
                span = [curve.before[0], curve.at[0]]
                axis.plot(span, [height] * 2, transform=across, color=look.colour, alpha=0.25, linewidth=5,
                          solid_capstyle="butt", zorder=1)  # fmt: skip
        arrow = {"arrowstyle": "-|>", "color": ours.colour, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
        axis.annotate("", (one.end[0], height), (one.start[0], height), xycoords=across, arrowprops=arrow)
        middle = (one.end[0] * one.start[0]) ** 0.5
        axis.annotate(times(one.ratio), (middle, height), (0, 2.5), xycoords=across, textcoords="offset points",
                      ha="center", va="bottom", color=ours.colour, fontsize=8, fontweight="bold")  # fmt: skip


def times(ratio: float) -> str:
    """`23.3x`."""
    return f"{ratio:.3g}x"


def _legend(shown: Sequence[_Panel], looks: Mapping[str, style.Look]) -> list[tuple[Any, str]]:
    """Methods, speed-ups with what the points allow, and what marks and bars are."""
    from matplotlib.patches import Patch

    drawn = {name for panel in shown for name in panel.curves}
    methods = [name for name in looks if name in drawn]
    entries = [panels.line_entry(name, **looks[name].line, **marks.OPEN) for name in methods]
    own = [cell for panel in shown for cells in panel.own.values() for cell in cells]
    entries += marks.meanings([row for panel in shown for row in panel.published], own)
    entries.append(
        (Patch(color=style.GREY, alpha=0.25, linewidth=0), "bars, [ ]: what the points around a target allow")
    )
    for one in (one for panel in shown for one in panel.found.values()):
        arrow = {"color": looks[one.asked.method].colour, "marker": "<", "markersize": 4, "markevery": [0]}
        entries.append(panels.line_entry(_sentence(one), linewidth=1.1, **arrow))
    return entries


def _sentence(one: Found) -> str:
    """`REED over SiT: 23.3x [1.33 to 35], claimed 23.3`."""
    low, high = (None if bound is None else f"{bound:.3g}" for bound in (one.low, one.high))
    allowed = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else "open"
    return f"{one.asked.method} over {one.asked.baseline}: {times(one.ratio)} [{allowed}], claimed {one.claim.printed}"
