"""What figures share: methods in their looks, curves with bands, reference lines, axes without formulas."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from reedbench.core.constants import HALVES
from reedbench.report import style
from reedbench.report.intervals import Interval, interval, kind_of
from reedbench.report.source import Source

BANDS = {"t95": "95 % t interval over {} seeds", "range": "range over {} seeds"}
APART = 1.5  # the least ratio of a logarithmic axis' ends; below it the costs of methods are alike
BESIDE = 32  # letters of a line beside a panel
COSTS = ((1e21, "ZFLOP"), (1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"))


def shown(facts: Mapping[str, Any]) -> dict[str, str]:
    """Label of every method that a comparison shows: the baseline first where it is not among the report's own."""
    labels = {name: words["label"] for name, words in facts["methods"].items()}
    baseline = facts["speedup"]["baseline"]
    return labels if baseline in labels else {baseline: facts["baseline_label"], **labels}


def looks(facts: Mapping[str, Any]) -> dict[str, style.Look]:
    """How each method of the benchmark is drawn, by its place in the file: the same in all figures."""
    return {name: style.look(place) for name, place in facts["places"].items()}


def title_of(facts: Mapping[str, Any], family: str) -> str:
    """A metric in words, with its unit."""
    title, unit = (str(facts["titles"][family][part]) for part in ("title", "unit"))
    return f"{title} ({unit})" if unit and unit.lower() not in title.lower() else title


def better(facts: Mapping[str, Any], family: str) -> str:
    """`lower is better`."""
    return f"{facts['titles'][family]['direction']} is better"


def value_label(title: str, facts: Mapping[str, Any], family: str) -> str:
    """Label of a value axis, in lines that fit beside a panel: a title, and which way is better."""
    return f"{style.broken(title, BESIDE)}\n{better(facts, family)}"


def sheet(plt: Any, title: str, rows: int, columns: int, legends: Sequence[style.Legend], panel: float) -> list[Any]:
    """A figure of stacked parts, one per legend, each with axes above its legend.

    Args:
        plt: pyplot.
        title: of the whole.
        rows: of axes, per part.
        columns: of axes.
        legends: one per part, drawn below its axes.
        panel: height of a row of axes with its labels, in centimetres.

    Returns:
        The parts' axes, each (rows, columns).
    """
    heights = [rows * panel + legend.height for legend in legends]
    width, lines = legends[0].width, wrapped(title, legends[0].width)
    height = sum(heights) + 0.5 + 0.42 * lines.count("\n")
    figure = plt.figure(figsize=(width * style.CENTIMETRE, height * style.CENTIMETRE))
    figure.suptitle(lines)
    parts = figure.subfigures(len(legends), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, legend in zip(parts, legends, strict=True):
        legend.draw(part)
    return [part.subplots(rows, columns, squeeze=False) for part in parts]


def wrapped(title: str, width: float, letter: float = 0.165) -> str:
    """A title in lines that fit into so many centimetres."""
    return "\n".join(style.broken(line, int(width / letter)) for line in title.split("\n"))


def figure_of(axes: Any) -> Any:
    """The figure that holds the axes of a part."""
    return axes.flat[0].get_figure(root=True)


def samplers(source: Source) -> list[str]:
    """Samplers in the order of the records."""
    return [str(name) for name in source.metrics["sampler"].dropna().unique()]


def undrawn_entries(source: Source, facts: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Which samplers drew from others and not from a method, for the legend."""
    lacking = source.undrawn(facts["methods"])
    words = [f"{facts['methods'][name]['label']}: not drawn by {', '.join(each)}" for name, each in lacking.items()]
    return [line_entry(text, linestyle="none") for text in words]


def over_seeds(own: pd.DataFrame, along: str, value: str = "value") -> dict[float, Interval]:
    """Mean and interval over seeds at every point of `along`; points that some seed lacks are left out."""
    groups = own.sort_values(along).groupby(along)[value]
    return {float(str(point)): interval(values.tolist()) for point, values in groups if values.notna().all()}


def curve(
    axis: Any, x: Sequence[float], points: Iterable[Interval], look: style.Look, crowd: int, marks: Any = None
) -> None:
    """A line of means with markers, and a band; fainter bands where there are many.

    Args:
        axis: to draw on.
        x: of the points.
        points: means with bounds.
        look: of the method.
        crowd: number of curves on this axis.
        marks: which points get a marker, as matplotlib's `markevery`; all by default.
    """
    points = list(points)
    lows, highs = zip(*(point.band for point in points), strict=True)
    axis.fill_between(x, lows, highs, color=look.colour, alpha=min(0.2, 0.6 / max(crowd, 1)), linewidth=0)
    axis.plot(x, [point.mean for point in points], **look.line, markevery=marks)


def bounds(seeds: int) -> str:
    """What the interval over so many seeds is, in words; empty for one seed, which has none."""
    return BANDS.get(kind_of(seeds), "").format(seeds)


def band_entry(seeds: int, what: str = "bands") -> list[tuple[Any, str]]:
    """What the bands are, for the legend; nothing for one seed."""
    from matplotlib.patches import Patch

    words = bounds(seeds)
    return [(Patch(color=style.GREY, alpha=0.25, linewidth=0), f"{what}: {words}")] if words else []


def line_entry(words: str, **line: Any) -> tuple[Any, str]:
    """A line and its words, for the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **line), words


def method_entries(labels: Mapping[str, str], facts: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """Every method's line and words, for the legend."""
    drawn = looks(facts)
    return [line_entry(words, **drawn[name].line) for name, words in labels.items()]


def reference(i: int = 0) -> dict[str, Any]:
    """Keywords of the i-th line that is no method's."""
    dashes = style.REFERENCE_DASHES[i % len(style.REFERENCE_DASHES)]
    return {"color": style.GREY, "linewidth": 0.9, "linestyle": (0, dashes)}


def level(line: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a method's line where it is one value at a cost that is not known."""
    return {**line, "marker": "", "linestyle": (0, (4, 2, 1, 2))}


TARGET = {"color": style.GREY, "linewidth": 1.0, "linestyle": ":"}  # the baseline's final value


def floors(source: Source, family: str) -> list[tuple[str, float]]:
    """What real data score, or the best that is possible: words and values."""
    own = source.floor[source.floor["family"] == family]
    return [(floor_words(record), float(record["value"])) for _, record in own.iterrows()]


def floor_words(record: pd.Series) -> str:
    """What a floor is, and on how many samples."""
    what = record.get("what")
    return f"{HALVES if what is None or pd.isna(what) else what} (n = {int(record['n'])})"


def plain_log(axis: Any) -> None:
    """A logarithmic y axis with plain numbers: ticks at 1, 2 and 5 of every decade where there are few decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_yscale("log")
    low, high = axis.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axis.yaxis.set_major_locator(LogLocator(subs=subs))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def plain_log_x(axis: Any, words: Callable[[float], str] = "{:g}".format) -> None:
    """A logarithmic x axis whose ticks have plain numbers, or other words, as many as have room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_xscale("log")
    low, high = axis.get_xlim()
    if high / low < APART:  # marks at one cost, or nearly
        middle = math.sqrt(low * high)
        low, high = middle / APART, middle * APART
        axis.set_xlim(low, high)
    few = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
    subs = few if high / low < 8 else (1.0, 2.0, 5.0) if high / low < 300 else (1.0,)
    axis.xaxis.set_major_locator(LogLocator(subs=subs))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.xaxis.set_minor_formatter(NullFormatter())


def cost_unit(largest: float) -> tuple[float, str]:
    """The unit in which a number of floating-point operations is easy to read."""
    return next(((size, name) for size, name in COSTS if largest >= size), (1.0, "FLOP"))
