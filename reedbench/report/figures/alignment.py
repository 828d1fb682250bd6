"""Loss terms during training, a panel each: the denoising loss, and every term that some method adds to it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.source import Source

COLUMNS, PANEL = 3, 5.2  # panels per row; centimetres
MARKS = 5  # markers per line
DENOISE = "denoise"
# Numbers that a curve holds beside loss terms and one-off costs.
OTHER = {"step", "samples_seen", "samples_per_second", "mfu", "device_seconds", "cpu_seconds", "flops",
         "gradient_norm", "seed", "params"}  # fmt: skip
COSINE = "cosine"  # kind of a term that is shown without its minus


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Mean and interval over seeds of every term, per method; a method that lacks a term is not in its panel.

    Raises:
        MetricError: the curves hold no loss term.
    """
    labels = {name: words["label"] for name, words in facts["methods"].items() if name not in source.elsewhere}
    curves = source.curves[source.curves["method"].isin(list(labels))]
    terms = _terms(curves)
    if not terms:
        raise MetricError(f"{facts['benchmark']}: the training curves hold no loss term, which figure alignment shows")
    entries = [*panels.method_entries(labels, facts), *panels.band_entry(int(curves["seed"].nunique()))]
    columns = 2 if len(terms) == 4 else min(COLUMNS, len(terms))
    lines, rows = -(-len(terms) // columns), []
    with style.styled() as plt:
        (axes,) = panels.sheet(plt, facts["title"], lines, columns, [style.Legend(entries)], PANEL)
        for axis, (term, kind) in zip(axes.flat, terms.items(), strict=False):
            rows += _panel(axis, curves[curves[term].notna()], term, kind, facts)
        for axis in axes.flat[len(terms) :]:
            axis.set_axis_off()
        return style.save(panels.figure_of(axes), stem, rows)


def _terms(curves: pd.DataFrame) -> dict[str, str]:
    """Loss terms that some method has and their kinds, the denoising loss first; a term of no known kind is a loss."""
    kinds: dict[str, str] = {}
    for text in curves["terms"].dropna().unique() if "terms" in curves else ():
        kinds |= json.loads(text)
    numbers = curves.select_dtypes("number").dropna(axis="columns", how="all").columns
    names = [name for name in numbers if name in kinds or not (name in OTHER or name.startswith("oneoff_"))]
    return {name: kinds.get(name, "loss") for name in sorted(names, key=lambda name: name != DENOISE)}


def _panel(axis: Any, own: pd.DataFrame, term: str, kind: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The term of every method that has it; returns the numbers."""
    looks, rows = panels.looks(facts), []
    shown = [name for name in facts["methods"] if (own["method"] == name).any()]
    sign = -1 if kind == COSINE else 1
    for i, method in enumerate(shown):
        mine = own[own["method"] == method]
        points = panels.over_seeds(mine.assign(value=sign * mine[term]), "step")
        every = max(1, len(points) // MARKS)
        marks = (i * every // len(shown), every)  # so that markers of lines that coincide lie side by side
        panels.curve(axis, list(points), points.values(), looks[method], len(shown), marks)
        rows += [{"method": method, "term": term, "kind": kind, "step": int(step), "value": over.mean, "low": over.low,
                  "high": over.high, "interval": over.kind} for step, over in points.items()]  # fmt: skip
    axis.set(title="denoising loss" if term == DENOISE else term, xlabel="training steps")
    axis.set_ylabel("cosine to the target" if kind == COSINE else "training loss")
    return rows
