"""A metric against epochs of training: the best that anyone prints for so much training, on any network and on one.

EP_FID@k is the number of epochs after which the FID is k (the measure of RAEv2, arXiv:2605.18324, at k = 2 without
guidance). Of a method's printed points it follows that it lies after the last that is worse, and not after the first
that is as good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.paper.figures import marks
from reedbench.report.paper.lines import KINDS
from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import NONE
from reedbench.report.paper.selection import chosen
from reedbench.report.paper.speedup import Curve, Point
from reedbench.schema.paper import Frontier, Paper
from reedbench.schema.published import settled
from reedbench.schema.published_row import Published

PANEL: Final = 6.6  # centimetres
EP: Final = "ep-{}@"  # metrics that print how many epochs reach a value: ep-fid@2
OTHERS: Final[dict[str, Any]] = {"color": "0.7", "linestyle": "none", "marker": "o", "markersize": 3.2}
STEPS: Final = ((0, ()), (0, (1, 1)))  # lines of both frontiers


def draw(rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, stem: Path | str) -> list[str]:
    """A panel per entry of `figures.frontier`, each with its legend below.

    Raises:
        ConfigError: a panel asks for numbers that there are not.
        MetricError: config/paper.yaml has no panel, or one without any number whose epochs are known.
    """
    asked = paper.figures.frontier
    if not asked:
        raise MetricError(
            "config/paper.yaml: figures.frontier: there is none, which figure frontier shows; leave it out"
        )
    shown = [_panel(rows, own, paper, name) for name in asked]
    methods = [method for panel in shown for method in panel.methods]
    looks = marks.looks(paper, methods)
    with style.styled() as plt:
        legends = [style.Legend(panel.legend(looks), marks.WIDTH) for panel in shown]
        heights = [PANEL + legend.height for legend in legends]
        figure = plt.figure(figsize=(marks.WIDTH * style.CENTIMETRE, sum(heights) * style.CENTIMETRE))
        parts = figure.subfigures(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, panel, legend in zip(parts, shown, legends, strict=True):
            legend.draw(part)
            panel.draw(part.subplots(), looks)
        return style.save(figure, stem, [row for panel in shown for row in panel.rows])


@dataclass(frozen=True)
class _Series:
    """A method on a network.

    Attributes:
        method: its name.
        backbone: the network; empty where it is not known.
        points: by rising epochs, the best at each.
        printed: where a paper prints how many epochs reach the panel's value.
        target: that value.
    """

    method: str
    backbone: str
    points: tuple[Point, ...]
    printed: Point | None
    target: float

    @cached_property
    def curve(self) -> Curve | None:
        """Its points, as a curve that reaches the value or not."""
        return Curve(self.points, self.target) if self.points else None

    @property
    def reached(self) -> tuple[float | None, float | None]:
        """The value is reached after the first and not after the second; nothing for a bound that no point sets."""
        if self.printed is not None:
            return self.printed[0], self.printed[0]
        assert self.curve is not None
        if self.curve.first is None:
            return self.points[-1][0], None
        before = self.curve.before
        return (None if before is None else before[0]), self.curve.at[0]

    @property
    def words(self) -> str:
        """What the legend says of it: `480 to 800`, `by 80`, `not by 1400`."""
        low, high = self.reached
        if high is None:
            return f"not by {low:g}"
        return f"by {high:g}" if low is None else f"{high:g}" if low == high else f"{low:g} to {high:g}"

    @property
    def values(self) -> list[tuple[float, float]]:
        """Epochs and values of all of its marks."""
        known = [(epochs, row.value) for epochs, row in self.points]
        return [*known, (self.printed[0], self.target)] if self.printed else known


@dataclass(frozen=True)
class _Panel:
    """One panel.

    Attributes:
        name: in the file.
        asked: what the file says.
        series: all methods.
        compared: methods of speed-ups, which are named whether they are on a frontier or not.
        own: own results with their epochs.
    """

    name: str
    asked: Frontier
    series: Sequence[_Series]
    compared: frozenset[str]
    own: Sequence[tuple[float, OwnCell]] = field(default=())

    @cached_property
    def frontiers(self) -> list[tuple[str, list[tuple[float, float]]]]:
        """Words, and the corners of the best value so far: on any network, and on the one that the file names."""
        same = [series for series in self.series if series.backbone == self.asked.backbone]
        pairs = (("best of all networks and autoencoders", self.series), (f"best on {self.asked.backbone}", same))
        return [(words, _best(one for each in series for one in each.values)) for words, series in pairs if series]

    @cached_property
    def named(self) -> list[_Series]:
        """Methods of speed-ups, and those with a corner of a frontier; the first to reach the value first."""
        anyone, *same = (set(corners) for _, corners in self.frontiers)
        found = [
            one
            for one in self.series
            if (one.method in self.compared and one.backbone == self.asked.backbone)
            or anyone & set(one.values)
            or (one.backbone == self.asked.backbone and any(corners & set(one.values) for corners in same))
        ]
        return sorted(found, key=lambda one: (one.reached[1] or float("inf"), one.reached[0] or 0.0, one.method))

    @property
    def methods(self) -> list[str]:
        """What has a look of its own."""
        return [*(one.method for one in self.named), *(cell.method for _, cell in self.own)]

    def label(self, one: _Series) -> str:
        """A method, with its network unless it is the panel's."""
        return one.method if one.backbone in ("", self.asked.backbone) else f"{one.method} ({one.backbone})"

    def draw(self, axis: Any, looks: Mapping[str, style.Look]) -> None:
        """Frontiers behind, other methods in grey, named ones in their looks, own results filled."""
        of = _metric(self.series)
        end = max(epochs for one in self.series for epochs, _ in one.values)
        for (_, corners), dashes in zip(self.frontiers, STEPS, strict=False):
            x, y = zip(*corners, (end, corners[-1][1]), strict=True)
            axis.plot(x, y, drawstyle="steps-post", color=style.GREY, linewidth=0.8, linestyle=dashes, zorder=1)
        for one in self.series:
            if one not in self.named:
                axis.plot(*zip(*one.values, strict=True), **{**OTHERS, **marks.OPEN}, zorder=2)
        for one in reversed(self.named):
            look = looks[one.method]
            if one.points:
                at = [(epochs, row.value) for epochs, row in one.points]
                axis.plot(*zip(*at, strict=True), **{**look.plain_line, "linewidth": 0.9}, zorder=3)
                marks.published(axis, at, [row for _, row in one.points], look)
            if one.printed:
                marks.published(axis, [(one.printed[0], self.asked.reach)], [one.printed[1]], look)
        for key in dict.fromkeys((cell.method, cell.backbone) for _, cell in self.own):
            mine = sorted((x, i) for i, (x, cell) in enumerate(self.own) if (cell.method, cell.backbone) == key)
            marks.own_results(axis, [x for x, _ in mine], [self.own[i][1] for _, i in mine], looks[key[0]])
        axis.axhline(self.asked.reach, zorder=0, **panels.TARGET)
        panels.plain_log_x(axis)
        panels.plain_log(axis)
        axis.set_title(panels.wrapped(self.asked.title, marks.WIDTH))
        axis.set_xlabel("epochs")
        axis.set_ylabel(f"{of.label}\n{of.better} is better")

    def legend(self, looks: Mapping[str, style.Look]) -> list[tuple[Any, str]]:
        """Methods with their epochs to the value, frontiers, and what marks are."""
        label, reach = _metric(self.series).label, self.asked.reach
        entries = [panels.line_entry(f"epochs to {label} {reach:g} (EP_{label}@{reach:g}):", **panels.TARGET)]
        entries += [
            panels.line_entry(f"{self.label(one)}: {one.words}", **looks[one.method].line, **marks.OPEN)
            for one in self.named
        ]
        others = list(dict.fromkeys(one.method for one in self.series if one not in self.named))
        if others:
            entries.append(panels.line_entry(f"{len(others)} other methods", **{**OTHERS, **marks.OPEN}))
        entries += [
            panels.line_entry(words, color=style.GREY, linewidth=0.8, linestyle=dashes)
            for (words, _), dashes in zip(self.frontiers, STEPS, strict=False)
        ]
        return [*entries, *marks.meanings([row for one in self.series for _, row in one.points],
                                          [cell for _, cell in self.own])]  # fmt: skip

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The numbers that are drawn, and the epochs to the value of every method."""
        here, rows = {"panel": self.name, "metric": self.asked.metric}, list[dict[str, Any]]()
        for one in self.series:
            for epochs, row in [*one.points, *([one.printed] if one.printed else [])]:
                how = {"guidance": row.guidance, "interval": row.interval}
                printed = {"value": f"{self.asked.reach:g}"} if one.printed and row is one.printed[1] else {}
                rows.append({**marks.row_of(row), **here, "epochs": epochs, **printed, **how})
        rows += [{**marks.own_row(cell), **here, "epochs": epochs} for epochs, cell in self.own]
        for words, corners in self.frontiers:
            rows += [{"drawn": words, **here, "epochs": epochs, "value": value} for epochs, value in corners]
        for one in self.series:
            low, high = one.reached
            rows.append({"drawn": f"epochs to {self.asked.reach:g}", **here, "method": one.method,
                         "backbone": one.backbone, "low": low, "high": high})  # fmt: skip
        return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _panel(rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, name: str) -> _Panel:
    """A panel's methods, each number at its epochs."""
    asked = paper.figures.frontier[name]
    kept = chosen(rows, asked.where, None, at := f"figures.frontier.{name}")
    left_out = {row for but in asked.but for row in chosen(rows, but, None, f"{at}.but")}
    found = [row for row in settled(kept) if row.guidance and (row.guidance != NONE) == asked.guided]
    found = [row for row in found if row not in left_out]
    length = {one.data: one.epoch for one in paper.measured.values()}
    printed = f"{EP.format(asked.metric)}{asked.reach:g}"
    groups: dict[tuple[str, str], dict[float, Published]] = {}
    reached: dict[tuple[str, str], Point] = {}
    for row in sorted(found, key=lambda row: (KINDS.index(row.kind), row.value)):
        key = row.method, row.backbone
        if row.metric == printed:
            reached.setdefault(key, (row.value, row))
        elif row.metric == asked.metric and (epochs := _epochs(row, length)) is not None:
            groups.setdefault(key, {}).setdefault(epochs, row)
    series = [
        _Series(*key, tuple(sorted(groups.get(key, {}).items())), reached.get(key), asked.reach)
        for key in dict.fromkeys([*groups, *reached])
    ]
    if not groups:
        raise MetricError(f"config/paper.yaml: figures.frontier.{name}: of no {asked.metric} the epochs are known")
    compared = frozenset(word for one in paper.speedups.values() for word in (one.method, one.baseline))
    numbers = [row for one in series for _, row in one.points]
    cells = [(cell.steps / cell.epoch, cell) for cell in marks.comparable(own, numbers)]
    return _Panel(name, asked, series, compared, cells)


def _epochs(row: Published, length: Mapping[str, int]) -> float | None:
    """Epochs as printed, or from the steps, where it is known how many make one."""
    if row.epochs is not None:
        return float(row.epochs)
    return row.steps / length[row.data] if row.steps is not None and row.data in length else None


def _best(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points that are better than all of less training."""
    corners: list[tuple[float, float]] = []
    for epochs, value in sorted(points):
        if not corners or value < corners[-1][1]:
            corners.append((epochs, value))
    return corners


def _metric(series: Sequence[_Series]) -> Any:
    return next(row.of for one in series for _, row in one.points)
