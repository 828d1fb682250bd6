"""How a number that each sample has is distributed at the last step, per method, beside real data: a panel per metric.

Records hold quantiles, from which shares of samples between equally spaced limits are taken, the same for all curves of
a panel. They run from the second percentile of the lowest curve to the 98th of the highest.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reedbench.core.errors import MetricError
from reedbench.report import panels, style
from reedbench.report.source import FLOOR, Source

COLUMNS, PANEL = 2, 5.6  # panels per row; centimetres
BINS = 24
ENDS = 0.02, 0.98  # shares of samples below the least and the largest value that is shown
WIDE = 30  # quartile distances of the narrowest curve: what spans more is drawn on a bent axis
MARKS = 6  # markers per line
EDGE = 1e-9
NOTHING = "no sample has a value"
CUT = "; cut where above the axis"
HIGHEST = 3  # times what methods reach: real data that are all alike are cut there
FARTHEST = 1000  # widths of its straight part that a bent axis spans, at most
APART = 0.12  # of a bent axis, between its ticks at least


def draw(source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Mean and interval over seeds of the share of samples, per metric (and sampler).

    Raises:
        MetricError: no metric knows a number of each sample, or no sample has any.
    """
    known = source.metrics.dropna(subset="values") if "values" in source.metrics else source.metrics[:0]
    last = source.last[source.last["method"].isin(list(facts["methods"]))]
    own, real = known[known.index.isin(last.index)], known[known["method"] == FLOOR]
    there = {*own["family"], *real["family"]}  # of a metric that no sample has a value of, real data alone are drawn
    names = [name for name in panels.samplers(source) if (last["sampler"] == name).any()]
    shown = [(family, name) for family in facts["metrics"] if family in there for name in names]
    if not shown:
        raise MetricError(
            f"{facts['benchmark']}: no metric has numbers of single samples, which figure distributions shows"
        )
    labels = {name: words["label"] for name, words in facts["methods"].items()}
    entries = [*panels.method_entries(labels, facts), *panels.band_entry(len(facts["seeds"]))]
    entries += panels.undrawn_entries(source, facts)
    beside = list(dict.fromkeys(panels.floor_words(row) for _, row in real.iterrows()))
    entries += [panels.line_entry(words + CUT, **panels.reference(i)) for i, words in enumerate(beside)]
    columns, rows = min(COLUMNS, len(shown)), []
    title = f"{facts['title']}, step {', '.join(map(str, sorted(last['step'].unique())))}"
    several = len(names) > 1
    with style.styled() as plt:
        (axes,) = panels.sheet(plt, title, -(-len(shown) // columns), columns, [style.Legend(entries)], PANEL)
        for axis, (family, name) in zip(axes.flat, shown, strict=False):
            mine = own[(own["family"] == family) & (own["sampler"] == name)]
            rows += _panel(axis, mine, real[real["family"] == family], beside, facts)
            axis.set_xlabel(style.broken(panels.title_of(facts, family), panels.BESIDE + 8))
            axis.set_ylabel("share of samples\nper interval")
            axis.set_title(": ".join([name] * several + [NOTHING] * mine.empty))
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        return style.save(panels.figure_of(axes), stem, rows)


def _panel(
    axis: Any, own: pd.DataFrame, real: pd.DataFrame, beside: Sequence[str], facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The curves of one metric; returns the numbers."""
    from matplotlib.ticker import NullLocator

    looks, rows = panels.looks(facts), []
    every = [_quantiles(text) for text in (*own["values"], *real["values"])]
    limits, width = _limits(every)
    if width is not None:
        axis.set_xscale("asinh", linear_width=width)
        axis.set_xticks(ticks := _ticks(limits, width), [f"{at:g}" for at in ticks], minor=False)
        axis.xaxis.set_minor_locator(NullLocator())
    middles = _bent((_bent(limits[:-1], width) + _bent(limits[1:], width)) / 2, width, back=True)
    methods = [name for name in facts["methods"] if (own["method"] == name).any()]
    for i, method in enumerate(methods):
        mine = own[own["method"] == method]
        parts = [
            pd.DataFrame({"at": middles, "value": _shares(_quantiles(row.values), limits), "seed": row.seed})
            for row in mine.itertuples()
        ]
        points = panels.over_seeds(pd.concat(parts), "at")
        step = BINS // MARKS
        panels.curve(axis, list(points), points.values(), looks[method], len(methods), (i * step // len(methods), step))
        counts = pd.DataFrame([json.loads(text) for text in mine["values"]])[["n", "of"]].sum()
        said = {"metric": mine["family"].iloc[0], "method": method, "sampler": mine["sampler"].iloc[0],
                "n": int(counts["n"]), "of": int(counts["of"])}  # fmt: skip
        rows += [{**said, **limit, "share": over.mean, "low": over.low, "high": over.high, "interval": over.kind}
                 for limit, over in zip(_between(limits), points.values(), strict=True)]  # fmt: skip
    for _, record in real.iterrows():
        shares, counts = _shares(_quantiles(record["values"]), limits), json.loads(record["values"])
        axis.plot(middles, shares, **panels.reference(beside.index(panels.floor_words(record))))
        said = {"metric": record["family"], "method": FLOOR, "n": counts["n"], "of": counts["of"]}
        rows += [{**said, **limit, "share": share} for limit, share in zip(_between(limits), shares, strict=True)]
    drawn = [row["share"] for row in rows if row["method"] != FLOOR]
    top = HIGHEST * max(drawn, default=1.0)
    axis.set_ylim(0, top if axis.get_ylim()[1] > top else None)
    return rows


def _quantiles(text: str) -> np.ndarray:
    return np.array(json.loads(text)["quantiles"], np.float64)


def _between(limits: np.ndarray) -> list[dict[str, float]]:
    return [{"from": low, "to": high} for low, high in zip(limits[:-1].tolist(), limits[1:].tolist(), strict=True)]


def _limits(curves: Sequence[np.ndarray]) -> tuple[np.ndarray, float | None]:
    """Limits (BINS + 1,) between which shares are taken; and how wide the axis is straight, where it is bent.

    Of distributions of very different widths the narrow ones would else be a line.
    """
    low, high = (pick(_at(curve, share) for curve in curves) for pick, share in zip((min, max), ENDS, strict=True))
    narrow = min(_at(curve, 0.75) - _at(curve, 0.25) for curve in curves)
    if high <= low:
        low, high = low - 0.5, high + 0.5
    width = max(narrow, (high - low) / FARTHEST) if narrow * WIDE < high - low else None
    low, high = low - EDGE * (high - low), high + EDGE * (high - low)  # what is equal to an end is inside
    return _bent(np.linspace(*_bent(np.array([low, high]), width), BINS + 1), width, back=True), width


def _at(curve: np.ndarray, share: float) -> float:
    """A quantile."""
    return float(np.interp(share, np.linspace(0, 1, len(curve)), curve))


def _bent(x: np.ndarray, width: float | None, *, back: bool = False) -> np.ndarray:
    """Places on an axis that is straight to about `width` and logarithmic beyond; or from there."""
    if width is None:
        return x
    return width * np.sinh(x / width) if back else width * np.arcsinh(x / width)


def _ticks(limits: np.ndarray, width: float) -> list[float]:
    """Round numbers along a bent axis: 0 and powers of ten before others, where they lie apart."""
    low, high = float(limits[0]), float(limits[-1])
    decades = [10.0**k for k in range(int(np.floor(np.log10(width))), int(np.log10(max(-low, high))) + 1)]
    rounds = [times * at for times in (1, 5, 2) for at in decades]
    span, taken = float(np.ptp(_bent(limits, width))), list[float]()
    for at in (0.0, *(sign * one for one in rounds for sign in (1, -1))):
        places = _bent(np.array([at, *taken]), width)
        if low <= at <= high and (np.abs(places[1:] - places[0]) >= APART * span).all():
            taken.append(at)
    return sorted(taken)


def _shares(curve: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """(bins,) share of samples between limits, of quantiles between which samples lie evenly."""
    below = np.interp(limits, *_steps(curve), left=0.0, right=1.0)
    return np.diff(below)


def _steps(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rising values, and the share of samples up to each: of equal quantiles the last one counts."""
    shares = np.linspace(0, 1, len(curve))
    last = np.append(np.diff(curve) > 0, True)
    return curve[last], shares[last]
