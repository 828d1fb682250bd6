"""Parts of the page of one run that are numbers: a thinned curve, metrics by step, and costs by phase, as tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reedbench.report.digest import ARROWS
from reedbench.report.escaping import escaped, table

ROWS = 8  # of a thinned curve
LAST = ("device_seconds", "cpu_seconds", "flops")  # columns that come after the loss terms
LEFT_OUT = ("samples_per_second", "mfu")  # of a moment, and not of a run


def number(value: float | None) -> str:
    """Four digits; `-` where there is none."""
    return "-" if value is None or pd.isna(value) else f"{value:.4g}"


def curve(curve: pd.DataFrame) -> list[str]:
    """Some rows of a curve, evenly spread, the first and the last among them."""
    chosen = sorted(set(np.linspace(0, len(curve) - 1, min(ROWS, len(curve))).round().astype(int).tolist()))
    terms = [name for name in curve.columns if name not in ("step", "samples_seen", *LAST, *LEFT_OUT)]
    names = ["step", "samples_seen", *terms, *LAST]
    whole = {"step", "samples_seen"}
    rows = [
        [str(int(row[name])) if name in whole else number(row[name]) for name in names]
        for row in curve.iloc[chosen].to_dict("records")
    ]
    return table([escaped(name) for name in names], rows)


def metrics(bodies: Mapping[int, Mapping[str, Any]], titles: Mapping[str, str]) -> list[str]:
    """Records of a sampler by step: a row per metric, its spread within the run at the last step, and below the reasons
    why there is no value.

    Args:
        bodies: metric files by step.
        titles: what metrics are called, by family.
    """
    steps = sorted(bodies)
    by_step = {step: {record["family"]: record for record in bodies[step]["records"]} for step in steps}
    last, rows, reasons = by_step[steps[-1]], [], []
    for family, record in last.items():
        values = [by_step[step].get(family, {}) for step in steps]
        spread, n = record["spread"], record["n"]
        unit = f" ({record['unit']})" if record["unit"] else ""
        name = f"{titles.get(family, family)}{unit} {ARROWS.get(record['direction'], '')}"
        within = f"{spread['std']:.2g}" if "std" in spread else f"none: {spread.get('reason', 'not said')}"
        rows.append([escaped(name), escaped(record["metric"]), *(number(one.get("value")) for one in values),
                     escaped(within), str(n)])  # fmt: skip
        said = dict.fromkeys(str(one["reason"]) for one in values if one.get("value") is None and "reason" in one)
        reasons += [f"- {escaped(family)} has no value: {escaped(reason)}" for reason in said]
    heads = ["metric", "id", *(f"step {step}" for step in steps), "std over streams, last step", "n"]
    return [*table(heads, rows), *(["", *reasons] if reasons else [])]


@dataclass
class Phase:
    """What one kind of job had cost.

    Attributes:
        name: of the phase.
        wanted: number of jobs that there should be.
        records: sidecars that carry the cost of those that are done.
        flops: of the network's work, where it is counted.
    """

    name: str
    wanted: int
    records: list[Mapping[str, Any]] = field(default_factory=list)
    flops: float | None = None


def costs(phases: Iterable[Phase]) -> list[str]:
    """A row per phase: jobs, seconds of devices and processors, the largest memory, operations."""

    def total(records: Sequence[Mapping[str, Any]], name: str) -> float | None:
        values = [record.get(name) for record in records]
        return None if not values or None in values else float(sum(v for v in values if v is not None))

    rows = []
    for phase in phases:
        memory = max((int(record.get("max_rss_mb") or 0) for record in phase.records), default=None)
        seconds = (number(total(phase.records, name)) for name in ("device_seconds", "cpu_seconds", "seconds"))
        done = f"{len(phase.records)} of {phase.wanted}"
        rows.append([escaped(phase.name), done, *seconds, "-" if memory is None else str(memory), number(phase.flops)])
    return table(["phase", "jobs", "device-seconds", "CPU-seconds", "seconds", "memory, MB", "FLOPs"], rows)
