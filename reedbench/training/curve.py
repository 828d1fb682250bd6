"""The training curve: one row per log interval with the mean of every loss term, and the costs so far.

All ranks keep the same one: what each saw is summed over them when it settles, not in every step.
"""

import csv
import io as text
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reedbench.core.errors import Diverged
from reedbench.training.order import Order
from reedbench.training.ranks import Ranks

COUNTS = ("step", "samples_seen")
RATE = "samples_per_second"
COSTS = ("device_seconds", "cpu_seconds", "flops")


@dataclass
class Journal:
    """What a run wrote down so far; part of its resumable state, never of its weights.

    `pending` holds the per-step values since the last row, so that a resumed curve has the same rows; `since` is the
    device time at which that row was closed. Costs are those of all ranks together.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COSTS, 0.0))
    since: float = 0.0

    def plain(self) -> dict[str, Any]:
        """For the state's JSON file."""
        return {"rows": self.rows, "pending": self.pending, "costs": self.costs, "since": self.since}


class Curve:
    """Collects values step by step without waiting for the device, and turns them into rows."""

    def __init__(self, journal: Journal, order: Order, flops_of_first: float, ranks: Ranks) -> None:
        """With the floating-point operations of step 0: other steps take more or fewer as they have entries."""
        self.journal, self.order, self.flops_of_first, self.ranks = journal, order, flops_of_first, ranks
        self.fresh: list[tuple[int, dict[str, Tensor]]] = []
        self.wall, self.cpu = time.monotonic(), time.process_time()

    def add(self, step: int, values: dict[str, Tensor]) -> None:
        """Values of a step (counted from 1, as in every file): this rank's share of each."""
        self.fresh.append((step, values))

    def settle(self) -> None:
        """Move fresh values into the journal and charge the time since the last call; all ranks do so together.

        Raises:
            Diverged: a value is not finite; names the first such step and all its values. On all ranks.
        """
        if not self.fresh:
            return
        names = list(self.fresh[0][1])
        shares = torch.stack([torch.stack([values[name].double() for name in names]) for _, values in self.fresh])
        for (step, _), numbers in zip(self.fresh, self.ranks.total(shares).tolist(), strict=True):
            row = {"step": float(step), **dict(zip(names, numbers, strict=True))}
            if not all(abs(number) < float("inf") for number in numbers):  # NaN compares false
                raise Diverged(f"step {step}: loss is not finite: " + ", ".join(f"{n} {row[n]:.6g}" for n in names))
            self.journal.pending.append(row)
        self._charge(sum(self.order.entries(step - 1) for step, _ in self.fresh))
        self.fresh = []

    def _charge(self, entries: int) -> None:
        now, cpu, costs = time.monotonic(), time.process_time(), self.journal.costs
        spent = torch.tensor([now - self.wall, cpu - self.cpu], dtype=torch.float64)
        for name, seconds in zip(("device_seconds", "cpu_seconds"), self.ranks.total(spent).tolist(), strict=True):
            costs[name] += seconds
        costs["flops"] += self.flops_of_first * (entries / self.order.entries(0))
        self.wall, self.cpu = now, cpu

    def row(self, step: int) -> dict[str, float]:
        """Close the current interval at `step` with a row."""
        self.settle()
        pending = self.journal.pending
        names = [name for name in pending[0] if name != "step"]
        means = {name: sum(row[name] for row in pending) / len(pending) for name in names}
        seconds = (self.journal.costs["device_seconds"] - self.journal.since) / self.ranks.world
        seen = self.order.seen(step)
        rate = (seen - self.order.seen(step - len(pending))) / max(seconds, 1e-9)
        self.journal.since = self.journal.costs["device_seconds"]
        counts = {"step": float(step), "samples_seen": float(seen)}
        row = {**counts, **means, RATE: rate, **self.journal.costs}
        self.journal.rows.append(row)
        self.journal.pending = []
        return row


def as_csv(rows: list[dict[str, float]]) -> str:
    """Rows as CSV text with full precision; whole numbers without a point; loss terms in alphabetical order."""
    if not rows:
        return ""
    terms = sorted(set(rows[0]) - {*COUNTS, RATE, *COSTS})
    file = text.StringIO()
    writer = csv.DictWriter(file, [*COUNTS, *terms, RATE, *COSTS], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: int(v) if name in COUNTS else repr(v) for name, v in row.items()})
    return file.getvalue()
