"""Paired differences to the baseline at the last step, a panel per metric: same seed, same data, same noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reedbench.report import panels, style
from reedbench.report.intervals import interval
from reedbench.report.source import Source

COLUMNS = 4
ROW = 0.42  # centimetres per method
EDGE = 1.9  # centimetres of a panel that are no rows: title and axis


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """..."""
    baseline = facts["speedup"]["baseline"]
    labels = {name: words["label"] for name, words in facts["methods"].items() if name != baseline}
    own = source.metrics[source.metrics["step"] == source.metrics["step"].max()]
    looks = panels.looks(facts)
    rows = []
    families = list(facts["metrics"])
    columns = min(COLUMNS, len(families))
    entries = [
        panels.line_entry(f"no difference to {facts['baseline_label']}", color=style.GREY, linewidth=0.9),
        *[
            panels.line_entry(w.replace("bands", "bars"), color=style.GREY, linewidth=1.4)
            for _, w in panels.band_entry(len(facts["seeds"]))
        ],
    ]
    with style.styled() as plt:
        (axes,) = panels.sheet(
            plt,
            f"{facts['title']}: difference to {facts['baseline_label']}",
            -(-len(families) // columns),
            columns,
            [style.Legend(entries)],
            EDGE + ROW * len(labels),
        )
        for axis, family in zip(axes.flat, families, strict=False):
            mine = own[own["family"] == family]
            pivot = mine.pivot_table(index="seed", columns="method", values="value")
            for i, name in enumerate(labels):
                over = interval((pivot[name] - pivot[baseline]).dropna().tolist())
                axis.plot(over.band, [i, i], color=looks[name].colour, linewidth=1.4, solid_capstyle="butt")
                axis.plot([over.mean], [i], **{**looks[name].line, "linestyle": "none", "markersize": 4.5})
            axis.axvline(0, color=style.GREY, linewidth=0.9, zorder=0)
            axis.set_yticks(range(len(labels)), labels.values())
            axis.set_ylim(len(labels) - 0.5, -0.5)
            axis.tick_params(axis="y", length=0)
            if axis not in axes[:, 0]:
                axis.tick_params(labelleft=False)
            axis.spines["left"].set_visible(False)
            d = facts["titles"][family]["direction"]
            axis.set_title(style.broken(panels.title_of(facts, family), 26))
            axis.set_xlabel("\u2190 better" if d == "lower" else "better \u2192", fontsize=7, color=style.GREY)
        for axis in axes.flat[len(families) :]:
            axis.set_axis_off()
        return style.save(axes[0, 0].get_figure(root=True), stem, rows)
