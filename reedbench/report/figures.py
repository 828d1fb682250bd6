"""The figures of a benchmark. Each is drawn from a `Source` alone and leaves its numbers beside it as CSV."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import style
from reedbench.report.intervals import interval
from reedbench.report.pictures import PICTURES
from reedbench.report.source import FLOOR, HALVES, Source
from reedbench.report.speedup import as_rows, speedups
from reedbench.schema.versions import levelled


def speedup(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """The metric of the speed-up against training steps, per method, with bands, floor and the speed-up marked."""
    family, baseline = facts["speedup"]["metric"], facts["speedup"]["baseline"]
    methods = list(facts["methods"])
    gains = pd.DataFrame(as_rows(speedups(source, family, baseline, methods)))
    rows: list[dict[str, Any]] = []
    with style.styled() as plt:
        figure, panels = _panels(plt, source, facts["title"])
        for sampler, axis in panels.items():
            rows += _curves(axis, source, facts, family, sampler)
            rows += _mark_speedups(axis, gains[gains["sampler"] == sampler], facts)
            _floor_line(axis, source, family)
            better = _direction(source, family)
            axis.set(xlabel="training steps", ylabel=f"{family} ({better} is better)")
            axis.legend(loc="upper right" if better == "lower" else "lower right")
        rows += [{"kind": "speedup", **{str(k): v for k, v in row.items()}} for row in gains.to_dict("records")]
        return style.save(figure, stem, rows)


def _panels(plt: Any, source: Source, title: str) -> tuple[Any, dict[str, Any]]:
    """A figure, and one axis per sampler; the sampler is in the title where there are several."""
    samplers = [str(sampler) for sampler in source.metrics["sampler"].dropna().unique()]
    size = (9.5 * len(samplers) * style.CENTIMETRE, 7.5 * style.CENTIMETRE)
    figure, axes = plt.subplots(1, len(samplers), figsize=size, squeeze=False)
    for axis, sampler in zip(axes[0], samplers, strict=True):
        axis.set_title(title if len(samplers) == 1 else f"{title}, {sampler}")
    return figure, dict(zip(samplers, axes[0], strict=True))


def _curves(axis: Any, source: Source, facts: Mapping[str, Any], family: str, sampler: str) -> list[dict[str, Any]]:
    colours, rows = style.colours(list(facts["methods"])), []
    own = source.metrics[(source.metrics["family"] == family) & (source.metrics["sampler"] == sampler)]
    for method, words in facts["methods"].items():
        points = []
        for step, cell in own[own["method"] == method].groupby("step"):
            over = interval(cell["value"].tolist())
            points.append((step, over.mean, *over.band))
            rows.append({"kind": "curve", "method": method, "sampler": sampler, "step": step, "value": over.mean,
                         "low": over.low, "high": over.high, "interval": over.kind})  # fmt: skip
        steps, means, lows, highs = (list(column) for column in zip(*points, strict=True))
        axis.plot(steps, means, marker="o", markersize=3, color=colours[method], label=words["label"])
        axis.fill_between(steps, lows, highs, color=colours[method], alpha=0.2, linewidth=0)
    measured = own["value"].dropna()
    if _direction(source, family) == "lower" and len(measured) and (measured > 0).all():
        axis.set_yscale("log")
        axis.set_ylim(bottom=float(measured.min()) * 0.6)
    return rows


def _mark_speedups(axis: Any, gains: pd.DataFrame, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The target as a line, and the step at which each other method reaches it; nothing if it was not measured."""
    colours = style.colours(list(facts["methods"]))
    steps = gains[gains["axis"] == "steps"]
    target = float(steps["target"].iloc[0])
    if math.isnan(target):
        return []
    axis.axhline(target, color="0.4", linewidth=0.8, linestyle=":")
    marked: list[dict[str, Any]] = []
    for _, row in steps.iterrows():
        if row["method"] == facts["speedup"]["baseline"] or pd.isna(row["value"]):
            continue
        axis.plot([row["reached"]], [target], marker="v", markersize=6, color=colours[row["method"]], zorder=5)
        axis.annotate(
            f"{row['value']:.2f}x", (row["reached"], target), textcoords="offset points",
            xytext=(-4, -11 - 9 * len(marked)), ha="right", color=colours[row["method"]], fontsize=8, fontweight="bold",
        )  # fmt: skip
        marked.append({"kind": "mark", "method": row["method"], "step": row["reached"], "value": target})
    return marked


def _direction(source: Source, family: str) -> str:
    directions: list[str] = source.metrics[source.metrics["family"] == family]["direction"].tolist()
    return directions[0]


def _floor_line(axis: Any, source: Source, family: str) -> None:
    floor = source.floor[source.floor["family"] == family]
    for _, record in floor.iterrows():
        value = float(record["value"])
        axis.axhline(value, color="0.6", linewidth=0.8, linestyle="--")
        bottom, top = axis.get_ylim()
        axis.set_ylim(min(bottom, value * 0.8), max(top, value * 1.05))
        axis.annotate(_floor_words(record), (1, value), xycoords=("axes fraction", "data"), xytext=(0, 2),
                      textcoords="offset points", ha="right", color="0.4", fontsize=6)  # fmt: skip


def _floor_words(record: pd.Series) -> str:
    """What a floor is, and on how many samples."""
    what = record.get("what")
    return f"{HALVES if what is None or pd.isna(what) else what} (n = {int(record['n'])})"


def levels(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """A metric that is taken at several times, against time, per method at its last step; with the best possible."""
    times = levelled(facts["metrics"])
    if not times:
        raise MetricError(f"{facts['benchmark']}: no metric is taken at several times, which figure levels shows")
    own = source.metrics[source.metrics["family"].isin(list(times))]
    own = own.assign(time=own["family"].map(times)).sort_values("time")
    limits, own = own[own["method"] == FLOOR], own[own["step"] >= 0]
    own = own[own["step"] == own["step"].max()]
    rows: list[dict[str, Any]] = []
    with style.styled() as plt:
        figure, panels = _panels(plt, source, f"{facts['title']}, last step")
        for sampler, axis in panels.items():
            rows += _levels(axis, own[own["sampler"] == sampler], facts, sampler)
            if len(limits):
                label = _floor_words(limits.iloc[0])
                axis.plot(limits["time"], limits["value"], color="0.4", linewidth=1, linestyle="--", label=label)
            bottom, top = axis.get_ylim()
            axis.set_ylim(bottom - 0.35 * (top - bottom), top)  # room for the legend, whatever the lines do
            axis.set(xlabel="time (0: all masked, 1: clean)", ylabel=next(iter(times)).rsplit("@", 1)[0])
            axis.legend(loc="lower left")
        points = zip(limits["time"], limits["value"], strict=True)
        rows += [{"method": FLOOR, "time": time, "value": value} for time, value in points]
        return style.save(figure, stem, rows)


def _levels(axis: Any, own: pd.DataFrame, facts: Mapping[str, Any], sampler: str) -> list[dict[str, Any]]:
    colours, rows = style.colours(list(facts["methods"])), []
    for method, words in facts["methods"].items():
        cells = own[own["method"] == method].groupby("time")["value"]
        points = {time: interval(values.tolist()) for time, values in cells}
        if not points:
            continue
        means = [over.mean for over in points.values()]
        lows, highs = zip(*(over.band for over in points.values()), strict=True)
        axis.fill_between(list(points), lows, highs, color=colours[method], alpha=0.2, linewidth=0)
        axis.plot(list(points), means, marker="o", markersize=3, color=colours[method], label=words["label"])
        rows += [{"method": method, "sampler": sampler, "time": time, "value": over.mean, "low": over.low,
                  "high": over.high, "interval": over.kind} for time, over in points.items()]  # fmt: skip
    return rows


def samples(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """The same samples (same noise, same condition) over training: a row per method, a column per checkpoint."""
    pictures = PICTURES[facts["domain"]]
    methods = [m for m in facts["methods"] if any(name.startswith(f"{m}/") for name in source.preview)]
    steps = sorted({int(name.split("/")[1]) for name in source.preview})
    rows: list[dict[str, Any]] = []
    with style.styled() as plt:
        size = (0.8 + 3.6 * len(steps), 0.9 + 1.55 * len(methods))
        figure, axes = plt.subplots(
            len(methods), len(steps), figsize=[s * style.CENTIMETRE for s in size], squeeze=False
        )
        for i, method in enumerate(methods):
            for j, step in enumerate(steps):
                preview = source.preview[f"{method}/{step}"]
                shape = "auto" if pictures.stretch else "equal"
                axes[i, j].imshow(
                    pictures.draw(preview), cmap="gray_r", vmin=0, vmax=255, interpolation="nearest", aspect=shape
                )
                axes[i, j].set(xticks=[], yticks=[])
                for spine in axes[i, j].spines.values():
                    spine.set_visible(False)
                rows += [{"method": method, "step": step, **row} for row in pictures.numbers(preview)]
            axes[i, 0].set_ylabel(facts["methods"][method]["label"], fontsize=8)
        for axis, step in zip(axes[0], steps, strict=True):
            axis.set_title(f"step {step}", fontsize=8)
        if pictures.caption:
            figure.supxlabel(pictures.caption, fontsize=7)
        return style.save(figure, stem, rows)


def alignment(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Denoising loss and cosine alignment during training, mean over seeds."""
    colours, rows = style.colours(list(facts["methods"])), []
    terms = [name for name in source.curves.columns if "@" in name]
    lines = ["-", "--", ":", "-."]
    with style.styled() as plt:
        figure, (left, right) = plt.subplots(1, 2, figsize=(16 * style.CENTIMETRE, 7 * style.CENTIMETRE))
        for method, words in facts["methods"].items():
            own = source.curves[source.curves["method"] == method]
            for term in ["denoise", *terms]:
                if term not in own or own[term].isna().all():
                    continue
                mean = own.groupby("step")[term].mean()
                values = mean if term == "denoise" else -mean
                axis, style_ = (left, "-") if term == "denoise" else (right, lines[terms.index(term) % len(lines)])
                name = words["label"] if term == "denoise" else f"{words['label']}: {term}"
                axis.plot(values.index, values.to_numpy(), color=colours[method], linestyle=style_, label=name)
                rows += [{"method": method, "term": term, "step": int(s), "value": float(v)} for s, v in values.items()]
        left.set(xlabel="training steps", ylabel="denoising loss (training)")
        right.set(xlabel="training steps", ylabel=PICTURES[facts["domain"]].cosine)
        left.legend()
        if right.lines:
            right.legend()
        return style.save(figure, stem, rows)


FIGURES = {"speedup": speedup, "samples": samples, "alignment": alignment, "levels": levels}
