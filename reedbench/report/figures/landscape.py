"""Quality against cost, a mark per method: against the operations of its training, and against the evaluations of the
network that a sample takes where samplers differ in these.

Training counts what was prepared once. A method stands where its last step is. Samples with guidance and samples
without are two panels where there are both: guidance trades variety for quality, and a network that is guided by itself
is to be compared with others under guidance. In each, a method stands under the first sampler of the file that draws
from it. The panel of evaluations has all samplers that were used: of the baseline, of methods that are guided by
themselves, and of those that take other numbers of evaluations than most. The legend is in the order of quality.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.costs import ONE_OFF, WITH, Costs
from reedbench.report.intervals import Interval, interval, plain
from reedbench.report.source import GUIDED_BY, PAIR, Source

PANEL, LOWER = 8.4, 6.6  # centimetres: of one row of panels, and of each of two
BESIDE, REST = 0.13, 2.6  # centimetres: between marks of one cost, and of what a page of panels has beside them
FLOPS = "flops"
GUIDED = {False: "without guidance", True: "with guidance"}


@dataclass(frozen=True)
class _Point:
    """A method under a sampler, at its last step.

    Attributes:
        over: its values; the mean is NaN where some was not measured.
        nfe: evaluations of the network per sample.
        flops: operations of its training; NaN where they are not known.
        guided: whether guidance was asked for.
        own: whether the network guides itself.
        first: whether the sampler is the first, with guidance or without, that draws from it.
    """

    method: str
    sampler: str
    step: int
    over: Interval
    nfe: float
    flops: float
    guided: bool = False
    own: bool = False
    first: bool = True


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """A panel without guidance, one with it, and one where samplers take different numbers of evaluations.

    Raises:
        MetricError: the metric of the speed-up was not evaluated.
    """
    family = facts["speedup"]["metric"]
    points = _points(source, facts)
    if not points:
        raise MetricError(f"{facts['benchmark']}: no record of {family}, which figure landscape shows; evaluate it")
    first, evaluations = [one for one in points if one.first], [one.nfe for one in points if one.nfe > 0]
    several = bool(evaluations) and max(evaluations) >= panels.APART * min(evaluations)
    kinds = sorted({one.guided for one in first})
    columns = min(2, len(kinds) + several)
    rows = math.ceil((len(kinds) + several) / columns)
    size, unit = panels.cost_unit(max((one.flops for one in first if one.flops == one.flops), default=1.0))
    with style.styled() as plt:
        legend = style.Legend(_legend(source, facts, first, several=several))
        (axes,) = panels.sheet(plt, facts["title"], rows, columns, [legend], PANEL if rows == 1 else LOWER)
        wide = (style.WIDTH - REST) / columns
        words = panels.value_label(panels.title_of(facts, family), facts, family)
        for axis, kind in zip(axes.flat, kinds, strict=False):
            own = [one for one in first if one.guided == kind]
            _marks(axis, own, facts, [one.flops / size for one in own], wide)
            axis.set_xlabel(f"training compute, one-off work included ({unit})\n\N{LEFTWARDS ARROW} cheaper")
            if len(kinds) > 1:
                axis.set_title(GUIDED[kind])
        if several:
            axis = axes.flat[len(kinds)]
            others = _others(points, facts["speedup"]["baseline"])
            _marks(axis, others, facts, [one.nfe for one in others], wide, joined=True)
            axis.set_xlabel("network evaluations per sample\n\N{LEFTWARDS ARROW} cheaper")
            if rows > 1:
                axis.set_title("samplers that differ in evaluations")
        _share_values(axes, len(kinds) + several, words)
        if _logarithmic(points, facts):
            panels.plain_log(axes.flat[0])
        return style.save(panels.figure_of(axes), stem, [_row(one) for one in points])


def _share_values(axes: np.ndarray, used: int, words: str) -> None:
    """One value axis for all panels, its label and numbers at the left ones; what is not used is not there."""
    for axis in axes.flat[used:]:
        axis.set_axis_off()
    for i, axis in enumerate(axes.flat[:used]):
        if i:
            axis.sharey(axes.flat[0])
        if i % axes.shape[1]:
            axis.tick_params(labelleft=False)
        else:
            axis.set_ylabel(words)
        panels.plain_log_x(axis)


def _points(source: Source, facts: Mapping[str, Any]) -> list[_Point]:
    """By method as the report has them, and by sampler as the benchmark has them."""
    costs = Costs(source)
    axis = f"{FLOPS}{WITH}" if ONE_OFF[FLOPS] in source.curves else FLOPS
    own = source.last[source.last["family"] == facts["speedup"]["metric"]]
    samplers = [name for name in facts["protocols"] if name in set(own["sampler"])]
    samplers += [name for name in panels.samplers(source) if name not in samplers]
    points: list[_Point] = []
    for method in panels.shown(facts):
        drawn, met = own[own["method"] == method], set[bool]()
        for name in samplers:
            cell = drawn[drawn["sampler"] == name].sort_values("seed")
            if cell.empty:
                continue
            step, guided = int(cell["step"].iloc[0]), float(cell["guidance"].iloc[0]) != 1.0
            by = cell[GUIDED_BY].iloc[0] if GUIDED_BY in cell else PAIR
            spent = [costs.on(axis, method, int(seed), np.array([float(step)]))[0] for seed in cell["seed"]]
            flops = float("nan") if method in source.elsewhere else float(np.mean(spent))
            over, itself = interval(cell["value"].tolist()), not pd.isna(by) and by != PAIR
            nfe = float(cell["nfe"].mean())
            points.append(_Point(method, name, step, over, nfe, flops, guided, itself, first=guided not in met))
            met.add(guided)
    return points


def _others(points: Sequence[_Point], baseline: str) -> list[_Point]:
    """What the panel of evaluations shows: the baseline, what guides itself, and methods of which some number of
    evaluations is not that of most with guidance or without."""
    apart = {one.method for one in points if one.own}
    for kind in {one.guided for one in points}:
        numbers = [one.nfe for one in points if one.first and one.guided == kind]
        usual = max(numbers, key=numbers.count, default=0.0)
        own = (one for one in points if one.guided == kind)
        apart |= {one.method for one in own if not math.isclose(one.nfe, usual, rel_tol=0.01)}
    return [one for one in points if one.nfe > 0 and one.method in {*apart, baseline}]


def _marks(
    axis: Any,
    points: Sequence[_Point],
    facts: Mapping[str, Any],
    at: Sequence[float],
    wide: float,
    *,
    joined: bool = False,
) -> None:
    """Marks with intervals, the baseline's large and with lines through it. A cost that is not known is a level.

    Args:
        axis: to draw on.
        points: what stands there.
        facts: words of the report.
        at: cost of each.
        wide: centimetres of the axis.
        joined: whether the marks of a method are; these stand where they belong, others side by side.
    """
    looks, baseline = panels.looks(facts), facts["speedup"]["baseline"]
    measured = [(one, x) for one, x in zip(points, at, strict=True) if not pd.isna(one.over.mean)]
    costs = [x for _, x in measured if x == x]
    placed = iter(costs if joined else _side_by_side(costs, wide))
    known = [(one, next(placed) if x == x else x) for one, x in measured]
    axis.set_xscale("log")
    for one, x in measured:
        if one.method == baseline and one.first and x == x:
            axis.axhline(one.over.mean, zorder=1, **panels.TARGET)
            axis.axvline(x, zorder=1, **panels.TARGET)
    if joined:
        for method, kind in dict.fromkeys((one.method, one.guided) for one, _ in known):
            line = sorted((x, one.over.mean) for one, x in known if (one.method, one.guided) == (method, kind))
            axis.plot(*zip(*line, strict=True), **{**looks[method].plain_line, "linewidth": 0.8}, zorder=2)
    for one, x in known:
        look, emphasised = looks[one.method], one.method == baseline
        if pd.isna(x):
            axis.axhline(one.over.mean, **panels.level(look.line))
            continue
        mark = {"marker": look.marker, "markersize": 8.5 if emphasised else 5.5, "linestyle": "none", "zorder": 4}
        edge = {"markeredgecolor": "black" if emphasised else "white", "markeredgewidth": 1.2 if emphasised else 0.5}
        axis.plot([x, x], one.over.band, color=look.colour, linewidth=1.1, solid_capstyle="butt", zorder=3)
        axis.plot([x], [one.over.mean], color=look.colour, **mark, **edge)


def _side_by_side(at: Sequence[float], wide: float) -> list[float]:
    """Places on a logarithmic axis at which bars do not cover each other: runs of near ones are spread evenly.

    Args:
        at: where they belong, all above 0.
        wide: centimetres of the axis.
    """
    logs = np.log(np.asarray(at, np.float64))
    least = BESIDE / wide * max(float(np.ptp(logs)), math.log(panels.APART)) if len(logs) else 0.0
    runs: list[list[int]] = []
    for i in np.argsort(logs, kind="stable").tolist():
        runs.append([i])
        while len(runs) > 1 and _start(logs, runs[-1], least) - _end(logs, runs[-2], least) < least:
            last = runs.pop()
            runs[-1] += last
    places = np.empty_like(logs)
    for run in runs:
        places[run] = _start(logs, run, least) + least * np.arange(len(run))
    found: list[float] = np.exp(places).tolist()
    return found


def _start(logs: np.ndarray, run: Sequence[int], least: float) -> float:
    """Where the first mark of a run stands."""
    return float(logs[list(run)].mean()) - least * (len(run) - 1) / 2


def _end(logs: np.ndarray, run: Sequence[int], least: float) -> float:
    """Where its last one does."""
    return _start(logs, run, least) + least * (len(run) - 1)


def _logarithmic(points: Sequence[_Point], facts: Mapping[str, Any]) -> bool:
    """As in figure `speedup`."""
    lower = facts["titles"][facts["speedup"]["metric"]]["direction"] == "lower"
    return lower and all(min(one.over.band[0], one.over.mean) > 0 for one in points if not pd.isna(one.over.mean))


def _legend(
    source: Source, facts: Mapping[str, Any], first: Sequence[_Point], *, several: bool
) -> list[tuple[Any, str]]:
    """Methods with their values and what they cost beside the baseline, the best first; what lines and bars are."""
    looks, labels, baseline = panels.looks(facts), panels.shown(facts), facts["speedup"]["baseline"]
    sign = 1 if facts["titles"][facts["speedup"]["metric"]]["direction"] == "lower" else -1
    reference = next((one.flops for one in first if one.method == baseline), float("nan"))
    kinds = sorted({one.guided for one in first})
    found = {(one.method, one.guided): one for one in first}
    main = {kind: next(one.sampler for one in first if one.guided == kind) for kind in kinds}

    def place(method: str) -> tuple[Any, ...]:
        values = [found[method, kind].over.mean if (method, kind) in found else float("nan") for kind in kinds]
        return tuple(part for value in values for part in (pd.isna(value), sign * value))

    entries = []
    for method in sorted(dict.fromkeys(one.method for one in first), key=place):
        own = [found.get((method, kind)) for kind in kinds]
        one = next(filter(None, own))
        cost = "cost unknown" if pd.isna(one.flops / reference) else f"{one.flops / reference:.3g}x compute"
        cost = "imported" if method in source.elsewhere else cost
        cost = "baseline" if method == baseline else cost
        other = [x.sampler for x in own if x and x.sampler != main[x.guided]]
        under = f", {', '.join(other)}" if other else ""
        values = " / ".join(plain(Interval(x.over.mean, None, None, "none")) if x else "–" for x in own)
        line = {**looks[method].line, "linestyle": "none", "markersize": 5.5}
        line |= {"markeredgecolor": "black", "markeredgewidth": 1.0} if method == baseline else {}
        line = panels.level(looks[method].line) if pd.isna(one.flops) else line
        entries.append(panels.line_entry(f"{labels[method]}{under}: {values}, {cost}", **line))
    return [*entries, *_explained(facts, labels[baseline], both=len(kinds) > 1, several=several)]


def _explained(facts: Mapping[str, Any], baseline: str, *, both: bool, several: bool) -> list[tuple[Any, str]]:
    """What numbers, lines and bars are."""
    seeds = panels.bounds(len(facts["seeds"]))
    entries = [panels.line_entry("values: without / with guidance", linestyle="none")] if both else []
    entries.append(panels.line_entry(f"through {baseline}, the baseline (black rim)", **panels.TARGET))
    entries += [panels.line_entry(f"bars: {seeds}", color=style.GREY, linewidth=1.1)] if seeds else []
    entries.append(panels.line_entry("over compute, near bars stand side by side", linestyle="none"))
    words = "over evaluations, a method's samplers are joined"
    return [*entries, *([panels.line_entry(words, color=style.GREY, linewidth=0.8)] if several else [])]


def _row(one: _Point) -> dict[str, Any]:
    return {"method": one.method, "sampler": one.sampler, "step": one.step, "nfe": one.nfe, "flops": one.flops,
            "value": one.over.mean, "low": one.over.low, "high": one.over.high, "interval": one.over.kind,
            "guided": one.guided, "panels": "both" if one.first else "evaluations"}  # fmt: skip
