"""The training curve: one row per log interval with the mean of every loss term, and the costs so far.

All ranks keep the same one: what each saw is summed over them when it settles, not in every step.
"""

import csv
import io as text
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reedbench.core.clock import Stopwatch
from reedbench.core.errors import Diverged
from reedbench.training.order import Order
from reedbench.training.ranks import Ranks

COUNTS = ("step", "samples_seen")
RATE = "samples_per_second"
MFU = "mfu"
COSTS = ("device_seconds", "cpu_seconds", "flops")


@dataclass
class Journal:
    """What a run wrote down so far; part of its resumable state, never of its weights.

    `pending` holds the per-step values since the last row, so that a resumed curve has the same rows; `since` is the
    device time at which that row was closed. Costs are those of all ranks together; `rates` are the floating-point
    operations of the first step of every phase that was entered, by that step. The rate of a row is that of
    one rank, by its device-seconds. Its `mfu` is the share of what its devices could have done at most meanwhile, where
    that is known; counted are the operations that stand in `flops`. `remarks` are those that were made.
    """

    rows: list[dict[str, float]] = field(default_factory=list)
    pending: list[dict[str, float]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COSTS, 0.0))
    since: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """For the state's JSON file."""
        return {name: getattr(self, name) for name in ("rows", "pending", "costs", "since", "rates", "remarks")}


class Curve:
    """Collects values step by step without waiting for the device, and turns them into rows."""

    def __init__(
        self,
        journal: Journal,
        order: Order,
        ranks: Ranks,
        phase: Callable[[int], int] = lambda step: 0,
        peak: float | None = None,
    ) -> None:
        """With the step whose cost a step has (`Learner.phase`), and the FLOP/s of a rank's device at most."""
        self.journal, self.order, self.ranks, self._phase, self.peak = journal, order, ranks, phase, peak
        self.fresh: list[tuple[int, dict[str, Tensor]]] = []
        self.entered: int | None = None
        self.watch = Stopwatch.start()

    def enter(self, step: int, flops: Callable[[int], float]) -> None:
        """Price the phase of a step (0 is the first) that is about to be computed; counting is not charged."""
        phase = self._phase(step)
        if phase != self.entered:
            counting = Stopwatch.start()
            if str(phase) not in self.journal.rates:  # else an earlier segment counted it
                self.journal.rates[str(phase)] = flops(step)
            self.entered = phase
            self.watch = self.watch.without(counting)

    def remark(self, text: str | None) -> str | None:
        """What is to be said of the latest row: nothing where the run has had a remark before."""
        if text is None or self.journal.remarks:
            return None
        self.journal.remarks.append(text)
        return text

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
        names = list(dict.fromkeys(name for _, values in self.fresh for name in values))
        nothing = torch.zeros((), dtype=torch.float64)  # of terms that a step did not compute
        shares = [[values[name].double() if name in values else nothing for name in names] for _, values in self.fresh]
        device = next(iter(self.fresh[0][1].values())).device
        totals = self.ranks.total(torch.stack([torch.stack([x.to(device) for x in share]) for share in shares]))
        for (step, values), numbers in zip(self.fresh, totals.tolist(), strict=True):
            found = {name: number for name, number in zip(names, numbers, strict=True) if name in values}
            if not all(abs(number) < float("inf") for number in found.values()):  # NaN compares false
                said = ", ".join(f"{name} {number:.6g}" for name, number in found.items())
                raise Diverged(f"step {step}: loss is not finite: {said}")
            self.journal.pending.append({"step": float(step), **found})
        self._charge(sum(self._flops(step - 1) for step, _ in self.fresh))
        self.fresh = []

    def _flops(self, step: int) -> float:
        """Of a step: of the first one of its phase, in proportion to the entries of both."""
        phase = self._phase(step)
        return self.journal.rates[str(phase)] * (self.order.entries(step) / self.order.entries(phase))

    def _charge(self, flops: float) -> None:
        watch, self.watch, costs = self.watch, Stopwatch.start(), self.journal.costs
        spent = torch.tensor([watch.device_seconds(self.ranks.device), watch.cpu_seconds()], dtype=torch.float64)
        for name, seconds in zip(("device_seconds", "cpu_seconds"), self.ranks.total(spent).tolist(), strict=True):
            costs[name] += seconds
        costs["flops"] += flops

    def row(self, step: int) -> dict[str, float]:
        """Close the current interval at `step` with a row."""
        self.settle()
        pending = self.journal.pending
        names = dict.fromkeys(name for values in pending for name in values if name != "step")
        found = {name: [values[name] for values in pending if name in values] for name in names}
        means = {name: sum(values) / len(values) for name, values in found.items()}
        device_seconds = max(self.journal.costs["device_seconds"] - self.journal.since, 1e-9)
        seen = self.order.seen(step)
        speed = {RATE: (seen - self.order.seen(step - len(pending))) / device_seconds * self.ranks.world}
        if self.peak is not None:
            done = sum(self._flops(int(values["step"]) - 1) for values in pending)
            speed[MFU] = done / device_seconds / self.peak
        self.journal.since = self.journal.costs["device_seconds"]
        counts = {"step": float(step), "samples_seen": float(seen)}
        row = {**counts, **means, **speed, **self.journal.costs}
        self.journal.rows.append(row)
        self.journal.pending = []
        return row


def as_csv(rows: list[dict[str, float]], terms: Iterable[str] = ()) -> str:
    """Rows as CSV text with full precision; whole numbers without a point; loss terms in alphabetical order.

    `terms` have a column in any case. A cell is empty where a term was not computed, and `mfu` where nobody knows what
    the device can do.
    """
    if not rows:
        return ""
    names = sorted({*terms, *(name for row in rows for name in row)} - {*COUNTS, RATE, MFU, *COSTS})
    file = text.StringIO()
    writer = csv.DictWriter(file, [*COUNTS, *names, RATE, MFU, *COSTS], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: int(v) if name in COUNTS else repr(v) for name, v in row.items()})
    return file.getvalue()
