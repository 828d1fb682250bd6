"""Differences to the baseline at the last step, paired over seeds, a panel per metric.

An ablation that leaves the baseline out is compared with its first method.

Methods share data, noise and times at equal seed, so a difference varies less than the two values do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.paired import Difference, differences
from reedbench.report.source import Source
from reedbench.report.tables import metric_ids

COLUMNS = 4  # panels side by side
ROW, REST, TITLE = 0.42, 1.95, 0.35  # centimetres: a method, title and axis of a panel, a further line of its title
LETTERS = 25  # of a line of a panel's title
ARROWS = {"lower": "\N{LEFTWARDS ARROW} better", "higher": "better \N{RIGHTWARDS ARROW}"}


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Mean difference and its interval, a line per method (and sampler); hollow where the seeds show none.

    Raises:
        MetricError: there is one method alone.
    """
    methods, baseline = list(facts["methods"]), facts["speedup"]["baseline"]
    against = baseline if baseline in methods else methods[0]  # as in the table
    ids = metric_ids(source, facts["metrics"])
    found = _last(differences(source, ids, methods, against, facts.get("ends", {})))
    if not found:
        raise MetricError(f"{facts['benchmark']}: one method alone has no differences, which figure differences shows")
    ids = list(dict.fromkeys(one.metric for one in found))  # those that some method has
    panel = {name: [one for one in found if one.metric == name] for name in ids}
    titles = {name: style.broken(panels.title_of(facts, own[0].family), LETTERS) for name, own in panel.items()}
    tall = ROW * max(map(len, panel.values())) + REST + TITLE * max(title.count("\n") for title in titles.values())
    rows, steps = -(-len(ids) // COLUMNS), sorted({one.step for one in found})
    columns = -(-len(ids) // rows)  # as many in each row
    title = f"{facts['title']}\ndifference to {facts['methods'][against]['label']}, step {', '.join(map(str, steps))}"
    with style.styled() as plt:
        legend = style.Legend(
            [*_legend(facts, facts["methods"][against]["label"]), *panels.undrawn_entries(source, facts)]
        )
        (axes,) = panels.sheet(plt, title, rows, columns, [legend], tall)
        for axis, (name, own) in zip(axes.flat, panel.items(), strict=False):
            _panel(axis, own, facts)
            axis.set_title(titles[name])
            axis.set_xlabel(ARROWS[own[0].direction], fontsize=7, color=style.GREY)
            axis.tick_params(axis="y", length=0, labelleft=axis in axes[:, 0])
        for axis in axes.flat[len(ids) :]:
            axis.set_axis_off()
        return style.save(panels.figure_of(axes), stem, [_row(one) for one in found])


def _last(found: Sequence[Difference]) -> list[Difference]:
    """Of every method and sampler those of its last step."""
    last: dict[tuple[str, str], int] = {}
    for one in found:
        last[one.method, one.sampler] = max(one.step, last.get((one.method, one.sampler), 0))
    return [one for one in found if one.step == last[one.method, one.sampler]]


def _legend(facts: Mapping[str, Any], against: str) -> list[tuple[Any, str]]:
    seeds, mark = panels.bounds(len(facts["seeds"])), {"marker": "o", "markersize": 4.5, "markerfacecolor": "white"}
    return [
        panels.line_entry(f"vertical: no difference to {against}", color=style.GREY, linewidth=0.9),
        *([panels.line_entry(f"bars: {seeds}", color=style.GREY, linewidth=1.4)] if seeds else []),
        panels.line_entry("hollow: no difference shown", color=style.GREY, linestyle="none", **mark),
    ]


def _panel(axis: Any, own: Sequence[Difference], facts: Mapping[str, Any]) -> None:
    """One metric: a line per method and sampler, from above."""
    looks, several = panels.looks(facts), len({one.sampler for one in own}) > 1
    axis.axvline(0, color=style.GREY, linewidth=0.9, zorder=0)
    labels = []
    for i, one in enumerate(own):
        look, over = looks[one.method], one.over
        face = look.colour if one.shown else "white"
        axis.plot(over.band, [i, i], color=look.colour, linewidth=1.4, solid_capstyle="butt")
        axis.plot([over.mean], [i], marker=look.marker, color=look.colour, markerfacecolor=face, markersize=4.5)
        if pd.isna(over.mean):
            place = {"transform": axis.get_yaxis_transform(), "ha": "center", "va": "center"}
            axis.text(0.5, i, "not measured", fontsize=6, color=style.GREY, **place)
        label = facts["methods"][one.method]["label"]
        labels.append(f"{label}, {one.sampler}" if several else label)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.locator_params(axis="x", nbins=3)
    axis.margins(x=0.08)
    axis.spines["left"].set_visible(False)


def _row(one: Difference) -> dict[str, Any]:
    return {"metric": one.metric, "method": one.method, "against": one.against, "sampler": one.sampler,
            "step": one.step, "seeds": " ".join(map(str, one.seeds)), "difference": one.over.mean, "low": one.over.low,
            "high": one.over.high, "interval": one.over.kind, "shown": one.shown}  # fmt: skip
