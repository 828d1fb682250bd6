"""A metric that is taken at several times, against time, per method at its last step; with the best possible."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.source import FLOOR, Source
from reedbench.schema.versions import levelled

PANEL = 6.2  # centimetres


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """One panel per sampler.

    Raises:
        MetricError: no metric is taken at several times.
    """
    times = levelled(facts["metrics"])
    if not times:
        raise MetricError(f"{facts['benchmark']}: no metric is taken at several times, which figure levels shows")
    own = source.metrics[source.metrics["family"].isin(list(times))]
    own = own.assign(time=own["family"].map(times)).sort_values("time")
    limits, own = own[own["method"] == FLOOR], own.loc[own.index.isin(source.last.index)]
    labels, names, looks = panels.shown(facts), panels.samplers(source), panels.looks(facts)
    rows: list[dict[str, Any]] = []
    entries = [*panels.method_entries(labels, facts), *panels.band_entry(len(facts["seeds"]))]
    entries += panels.undrawn_entries(source, facts)
    if len(limits):
        entries.append(panels.line_entry(panels.floor_words(limits.iloc[0]), **panels.reference()))
    family = next(iter(times))
    with style.styled() as plt:
        legend = style.Legend(entries, style.WIDTH if len(names) > 1 else 0.6 * style.WIDTH)
        title = f"{facts['title']}, step {', '.join(map(str, sorted(own['step'].unique())))}"
        (parts,) = panels.sheet(plt, title, 1, len(names), [legend], PANEL)
        axes = parts[0]
        for name, axis in zip(names, axes, strict=True):
            mine = own[own["sampler"] == name]
            for method in labels:
                points = panels.over_seeds(mine[mine["method"] == method], "time")
                if points:
                    panels.curve(axis, list(points), points.values(), looks[method], len(labels))
                rows += [{"method": method, "sampler": name, "time": time, "value": over.mean, "low": over.low,
                          "high": over.high, "interval": over.kind} for time, over in points.items()]  # fmt: skip
            if len(limits):
                axis.plot(limits["time"], limits["value"], **panels.reference())
            axis.set(xlabel="time (0: noise or masks, 1: data)", title=name if len(names) > 1 else "")
        axes[0].set_ylabel(panels.value_label(_title(facts, times), facts, family))
        rows += [{"method": FLOOR, "time": row.time, "value": row.value} for row in limits.itertuples()]
        return style.save(panels.figure_of(parts), stem, rows)


def _title(facts: Mapping[str, Any], families: Iterable[str]) -> str:
    """What the titles of a metric at several times have in common, between commas."""
    words = [facts["titles"][family]["title"].split(", ") for family in families]
    return ", ".join(each[0] for each in zip(*words, strict=False) if len(set(each)) == 1)
