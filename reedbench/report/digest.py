"""The table for people: one row per method and sampler at its last step, its best values, and its differences."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from reedbench.report.intervals import Interval, plain
from reedbench.report.paired import difference
from reedbench.report.source import PAIR
from reedbench.report.tables import Comparison, limits, shown_ids

NONE = "–"  # what is not known, or has no meaning
OWN_GUIDANCE = {"built-in": "built in", "input": "read by the network"}
ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Digest:
    """Plain words, still to be escaped. `best` holds (row, column) of what may be bold; rows of `differences` have the
    same columns as `rows`, empty where there is no difference to give, and stand under `heading`. `limits` are further
    rows: what is no method and was measured as those were, such as real data in place of samples."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]]
    heading: str
    differences: tuple[tuple[str, ...], ...]
    limits: tuple[tuple[str, ...], ...] = ()


def digest(of: Comparison) -> Digest:
    """The columns that the benchmark selects (all metrics where it selects none), then costs and speed-ups."""
    table = of.table
    last = table[table["step"] == table.groupby(["method", "sampler"])["step"].transform("max")].reset_index(drop=True)
    several = last["sampler"].nunique() > 1
    own = bool((last["guided_by"] != PAIR).any())  # then it matters what guidance costs, and where it comes from
    heads = ["method", "step", *(["sampler"] if several else []), *(["guidance", "NFE"] if own else [])]
    ids = shown_ids(of)
    ends = ["device s", "speed-up, steps", "speed-up, seconds", f"to {of.facts['baseline_label']}'s final value, steps"]
    rows, below = [], []
    for _, row in last.iterrows():
        head = [_named(row), str(row["step"]), *([row["sampler"]] if several else [])]
        head += [_guidance(row), f"{row['nfe']:.4g}"] if own else []
        gains = {axis: of.gain(row["method"], row["sampler"], axis) for axis in ("steps", "device_seconds")}
        seconds = NONE if pd.isna(row["device_seconds"]) else f"{row['device_seconds']:.0f}"
        ratios = (gains["steps"].ratio, gains["device_seconds"].ratio, gains["steps"].to_final)
        end = [seconds, *(ratio.text for ratio in ratios)]
        rows.append((*head, *(plain(_interval_of(row, name)) for name in ids), *end))
        if row["method"] != of.against:
            deltas = (_delta(of, row, name) for name in ids)
            below.append((*head, *deltas, *("" for _ in ends)))
    titles = [_title(of, name) for name in ids]
    best = {(i, len(heads) + j) for j, name in enumerate(ids) for i in _best(of, last, name)}
    heading = f"Differences to {of.label(of.against)}, paired over seeds"
    others = tuple(_limits(of, ids, len(heads), len(ends)))
    return Digest((*heads, *titles, *ends), tuple(rows), frozenset(best), heading, tuple(below), others)


def _limits(of: Comparison, ids: Sequence[str], before: int, after: int) -> Iterator[tuple[str, ...]]:
    for what, values in limits(of):
        cells = (plain(Interval(values[name], None, None, "none")) if name in values else NONE for name in ids)
        yield (what, *[NONE] * (before - 1), *cells, *[NONE] * after)


def _named(row: pd.Series) -> str:
    """A method's label, and what its weights are where they are no average of a run here."""
    return str(row["label"]) if row["weights"] == "ema" else f"{row['label']} ({row['weights']})"


def _guidance(row: pd.Series) -> str:
    """`1.5`, `1.5 (built in)`."""
    where = OWN_GUIDANCE.get(row["guided_by"])
    return f"{row['guidance']:g}" + (f" ({where})" if where else "")


def _title(of: Comparison, name: str) -> str:
    direction = of.source.metrics.loc[of.source.metrics["metric"] == name, "direction"].iloc[0]
    return f"{heading_of(name)} {ARROWS[direction]}"


def heading_of(name: str) -> str:
    """A metric's id without version and numbers of samples; of how many samples the best was taken stays."""
    kept = r"\2" if re.search(r"@[^+]*-best\b", name) else ""
    return re.sub(r"(\.v\d+-n\d+)(-k\d+)?(-f[0-9a-f]{8})?$", kept, name)


def _interval_of(row: pd.Series, name: str) -> Interval:
    return Interval(row[name], row[f"{name}.low"], row[f"{name}.high"], row[f"{name}.interval"])


def _delta(of: Comparison, row: pd.Series, name: str) -> str:
    key = (row["method"], row["step"], row["sampler"], name)
    return next((one.text for one in of.paired if (one.method, one.step, one.sampler, one.metric) == key), NONE)


def _best(of: Comparison, last: pd.DataFrame, name: str) -> list[int]:
    """Rows whose value is best among those of their sampler, by a paired interval that excludes the second best."""
    found = []
    lower = of.source.metrics.loc[of.source.metrics["metric"] == name, "direction"].iloc[0] == "lower"
    for sampler, own in last.groupby("sampler"):
        order = own[name].dropna().sort_values(ascending=lower).index
        if len(order) < 2 or len(order) < len(own):
            continue
        first, second = (last.loc[i] for i in order[:2])
        if {first["method"], second["method"]} & of.source.elsewhere.keys():
            continue  # their seeds say nothing of another training
        pair = difference(
            of.source, name, first["method"], second["method"], int(first["step"]), str(sampler), int(second["step"])
        )
        if pair.shown and pair.better:
            found.append(int(order[0]))
    return found
