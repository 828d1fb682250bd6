"""The metric of the speed-up against training steps and against the floating-point operations of training, per method.

The legend says how much sooner each method gets where the baseline gets. A tick on the dotted line is where a mean
curve reaches the baseline's final value; there is none where it does not.
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
from reedbench.report.costs import Costs
from reedbench.report.source import Source
from reedbench.report.speedup import Speedup, as_rows, speedups

PANEL, MORE = 6.2, 0.15  # centimetres, and further ones per method beyond four


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Two panels per sampler: against steps, and against operations. One that drew at a single step has no curve, and
    none unless no sampler has one.

    Raises:
        MetricError: the metric of the speed-up was not evaluated.
    """
    family, baseline = facts["speedup"]["metric"], facts["speedup"]["baseline"]
    if not (source.metrics["family"] == family).any():
        raise MetricError(f"{facts['benchmark']}: no record of {family}, which figure speedup shows; evaluate it")
    labels, names = panels.shown(facts), _followed(source)
    found = speedups(source, family, baseline, list(labels), facts.get("ends", {}))
    legends = [style.Legend(_legend(source, facts, name, [x for x in found if x.sampler == name])) for name in names]
    rows: list[dict[str, Any]] = []
    with style.styled() as plt:
        tall = PANEL + MORE * max(0, len(labels) - 4)
        parts = panels.sheet(plt, facts["title"], 1, 2, legends, tall)
        for name, ((left, right),) in zip(names, parts, strict=True):
            curves = _means(source, facts, name)
            size, unit = panels.cost_unit(curves.largest_cost)
            right.sharey(left)
            right.tick_params(labelleft=False)
            for axis, along, scale in ((left, "step", 1.0), (right, "flops", size)):
                curves.draw(axis, along, scale, facts)
                for i, (_, value) in enumerate(panels.floors(source, family)):
                    axis.axhline(value, zorder=1, **panels.reference(i))
            words = panels.title_of(facts, family) + ("" if len(names) == 1 else f", {name}")
            left.set(xlabel="training steps", ylabel=panels.value_label(words, facts, family))
            right.set(xlabel=f"training compute ({unit})")
            rows += curves.rows(name)
        rows += [{"kind": "speedup", **row} for row in as_rows(found)]
        return style.save(panels.figure_of(parts[0]), stem, rows)


def _followed(source: Source) -> list[str]:
    """Samplers that drew from some run at several steps, or all."""
    steps = source.metrics.groupby(["sampler", "method"])["step"].nunique().groupby("sampler").max()
    names = panels.samplers(source)
    return [name for name in names if steps[name] > 1] or names


@dataclass(frozen=True)
class _Means:
    """The mean curves under one sampler.

    Attributes:
        curves: by method; columns step, flops (mean over seeds), over (`Interval`); only what was measured.
        levels: mean values of what was trained elsewhere, at a cost that is not known.
        baseline: the method that is compared with.
        target: its value at its last step; none if that was not measured.
        lower: whether lower is better.
    """

    curves: Mapping[str, pd.DataFrame]
    levels: Mapping[str, float]
    baseline: str
    target: float | None
    lower: bool

    @property
    def largest_cost(self) -> float:
        """Floating-point operations of the dearest run."""
        return max((float(curve["flops"].max()) for curve in self.curves.values()), default=1.0)

    @property
    def logarithmic(self) -> bool:
        """Whether the value axis is: where lower is better, and all means and bounds are positive."""
        values = [min(over.band[0], over.mean) for curve in self.curves.values() for over in curve["over"]]
        return self.lower and min([*values, *self.levels.values()], default=0.0) > 0

    def crossings(self, along: str) -> dict[str, float]:
        """Where each mean curve, as it is drawn, first becomes as good as the target; no entry where it does not."""
        found: dict[str, float] = {}
        if self.target is None:
            return found
        scale, sign = (math.log if self.logarithmic else float), (1.0 if self.lower else -1.0)
        goal = sign * scale(self.target)
        for method in self.curves.keys() - {self.baseline}:
            x = self.curves[method][along].tolist()
            y = [sign * scale(over.mean) for over in self.curves[method]["over"]]
            if (i := next((i for i in range(1, len(x)) if y[i - 1] > goal >= y[i]), None)) is not None:
                found[method] = x[i - 1] + (y[i - 1] - goal) / (y[i - 1] - y[i]) * (x[i] - x[i - 1])
        return found

    def draw(self, axis: Any, along: str, unit: float, facts: Mapping[str, Any]) -> None:
        """Curves, levels, the target, and ticks where it is reached."""
        looks = panels.looks(facts)
        for method, curve in self.curves.items():
            panels.curve(axis, curve[along] / unit, curve["over"], looks[method], len(self.curves))
        for method, value in self.levels.items():
            axis.axhline(value, **panels.level(looks[method].line))
        if self.logarithmic:
            panels.plain_log(axis)
        if self.target is not None:
            axis.axhline(self.target, zorder=1, **panels.TARGET)
        tick = {"marker": "|", "markersize": 9, "markeredgewidth": 2.2, "zorder": 5, "linestyle": "none"}
        for method, x in self.crossings(along).items():
            axis.plot([x / unit], [self.target], color=looks[method].colour, **tick)

    def rows(self, sampler: str) -> list[dict[str, Any]]:
        """The numbers that are drawn."""
        rows: list[dict[str, Any]] = []
        for method, curve in self.curves.items():
            for step, flops, over in zip(curve["step"], curve["flops"], curve["over"], strict=True):
                rows.append(
                    {
                        "kind": "curve",
                        "method": method,
                        "sampler": sampler,
                        "step": int(step),
                        "flops": flops,
                        "value": over.mean,
                        "low": over.low,
                        "high": over.high,
                        "interval": over.kind,
                    }
                )
        rows += [{"kind": "level", "method": m, "sampler": sampler, "value": v} for m, v in self.levels.items()]
        steps, flops = self.crossings("step"), self.crossings("flops")
        for method in (name for name in self.curves if name in steps):
            rows.append({"kind": "mark", "method": method, "sampler": sampler, "step": steps[method],
                         "flops": flops[method], "value": self.target})  # fmt: skip
        return rows


def _means(source: Source, facts: Mapping[str, Any], sampler: str) -> _Means:
    family, baseline = facts["speedup"]["metric"], facts["speedup"]["baseline"]
    chosen = (source.metrics["family"] == family) & (source.metrics["sampler"] == sampler)
    own, curves, costs = source.metrics[chosen], {}, Costs(source)
    levels: dict[str, float] = {}
    for method in panels.shown(facts):
        mine = own[own["method"] == method]
        points, seeds = panels.over_seeds(mine, "step"), [int(seed) for seed in mine["seed"].unique()]
        if _without_cost(source, costs, method):
            levels.update((method, over.mean) for over in points.values())
        elif points:
            at = np.array(list(points), np.float64)
            steps, flops = (
                np.mean([costs.on(axis, method, k, at) for k in seeds], axis=0) for axis in ("steps", "flops")
            )
            curves[method] = pd.DataFrame({"step": steps, "flops": flops, "over": list(points.values())})
    ends = curves[baseline].iloc[-1] if baseline in curves else None
    last = own.loc[own["method"] == baseline, "step"].max()
    target = float(ends["over"].mean) if ends is not None and ends["step"] == last else None
    return _Means(curves, levels, baseline, target, facts["titles"][family]["direction"] == "lower")


def _without_cost(source: Source, costs: Costs, method: str) -> str:
    """Why a method has one level and no curve, as nobody knows what it had cost."""
    if method in source.elsewhere:
        return "imported"
    return "learns from imported weights" if costs.unknown(method) else ""


def _legend(source: Source, facts: Mapping[str, Any], sampler: str, found: Sequence[Speedup]) -> list[tuple[Any, str]]:
    """Methods with what they gain, and what the other lines and bands are."""
    baseline, family, labels = facts["speedup"]["baseline"], facts["speedup"]["metric"], panels.shown(facts)
    there = {name for name in labels if (name, sampler) in source.pairs}
    words = {name: f"{label}: {_outcome(found, name, baseline)}" for name, label in labels.items()}
    levels = {name: why for name in labels if (why := _without_cost(source, Costs(source), name))}
    words |= {name: f"{labels[name]} (level line): {why}" for name, why in levels.items()}
    words |= {name: f"{labels[name]}: not drawn by {sampler}" for name in labels.keys() - there}
    target = panels.line_entry(f"{labels[baseline]}'s final value; ticks: where mean curves reach it", **panels.TARGET)
    bands = panels.band_entry(len(facts["seeds"]), "bands and brackets")
    floors = enumerate(panels.floors(source, family))
    limits = [panels.line_entry(words, **panels.reference(i)) for i, (words, _) in floors]
    looks = panels.looks(facts)
    methods = [
        panels.line_entry(text, **(panels.level(looks[name].line) if name in levels else looks[name].line))
        for name, text in words.items()
    ]
    return [*methods, *([target] if baseline in there else []), *bands, *limits]


def _outcome(found: Sequence[Speedup], method: str, baseline: str) -> str:
    """What a method gains in steps and in operations, and whether it gets to the baseline's final value."""
    if method == baseline:
        return "baseline"
    own = {one.axis: one for one in found if one.method == method}
    steps, flops = own["steps"], own["flops"]
    if steps.ratio.value is None:
        return steps.sentence
    return f"{steps.sentence}, {flops.sentence}; dotted line: {steps.final_sentence}"
