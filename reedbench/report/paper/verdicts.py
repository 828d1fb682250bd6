"""What own results say of published numbers: reproduced, better, worse, not comparable, or not run. docs/paper.md.

A number is reproduced if the mean over seeds lies within the metric's tolerance (config/paper.yaml), and the method
stands on the paper's side of the baseline in every seed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from reedbench.report.paper.own import OwnCell
from reedbench.report.paper.protocol import Protocol, contradict, differences, of_row, unstated
from reedbench.schema.paper import Paper
from reedbench.schema.published import settled
from reedbench.schema.published_row import Published, cell_id

REPRODUCED, BETTER, WORSE = "reproduced", "better", "worse"
NOT_COMPARABLE, NOT_RUN = "not comparable", "not run"
VERDICTS: Final = (REPRODUCED, BETTER, WORSE, NOT_COMPARABLE, NOT_RUN)
UNMEASURED = "no benchmark of the suite measures it"
COLUMNS: Final = ("verdict", "own", "own.low", "own.high", "own.interval", "within_reruns", "why")
_SLACK: Final = 1e-9  # 18.2 - 17.2 is more than 1 in binary: a mean on the edge of the band is inside


@dataclass(frozen=True)
class Verdict:
    """What is said of one published number.

    Attributes:
        row: the number.
        verdict: one of VERDICTS.
        own: what it is compared with, where something was run.
        why: the reason, and what else to know.
        in_reruns: whether the own mean lies between the least and the largest published number of the cell; None
            without an own result, and where nobody but the authors ran it.
        against: the number of which the verdict is: the claim where the row repeats, or runs again, what one claims.
        measured: whether some benchmark of the suite measures the cell.
    """

    row: Published
    verdict: str
    own: OwnCell | None
    why: str
    in_reruns: bool | None
    against: Published
    measured: bool = True

    @property
    def columns(self) -> dict[str, Any]:
        """By COLUMNS; what does not apply is None."""
        over = None if self.own is None else self.own.over_seeds
        own = (None,) * 4 if over is None else (over.mean, over.low, over.high, over.kind)
        return dict(zip(COLUMNS, (self.verdict, *own, self.in_reruns, self.why), strict=True))


def judge(
    rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, *, among: Sequence[Published] = ()
) -> list[Verdict]:
    """One verdict for each row, in their order.

    A claim is judged by its own number. So is a copy, or somebody else's run, unless the claim to the same cell is
    among the rows: then the verdict is the claim's.

    Args:
        rows: numbers of a table.
        own: own results, those that count first.
        paper: tolerances, and what benchmarks measure.
        among: all published numbers, of which those of the cell span a range, and in which the baseline's is looked for
            if it is not among the rows; the rows alone where there are none.
    """
    every = settled(tuple(dict.fromkeys((*rows, *among))))
    court = _Court(own, paper, frozenset(rows).intersection(every), every)
    return [court.verdict(row) for row in rows]


def summary(verdicts: Iterable[Verdict]) -> str:
    """`3 of 41 cells run: reproduced 1, worse 1, not comparable 1`; each cell that is measured counts once."""
    cells = of_cells(verdicts)
    counts = Counter(cells.values())
    run = len(cells) - counts[NOT_RUN]
    said = ", ".join(f"{verdict} {counts[verdict]}" for verdict in VERDICTS if counts[verdict] and verdict != NOT_RUN)
    return f"{run} of {len(cells)} cells run" + (f": {said}" if said else "")


def of_cells(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """The verdict of each cell that some benchmark of the suite measures."""
    return {cell_id(one.against): one.verdict for one in verdicts if one.measured}


@dataclass(frozen=True)
class _Court:
    """What a row is judged by.

    Attributes:
        own: own results, those that count first.
        paper: tolerances, and what benchmarks measure.
        standing: rows of the table that no other one overrides.
        every: these, and all others that no other one overrides.
    """

    own: Sequence[OwnCell]
    paper: Paper
    standing: frozenset[Published]
    every: Sequence[Published]

    def verdict(self, row: Published) -> Verdict:
        """Of one row."""
        against = self._claim(row) or row
        said = Verdict(row, NOT_RUN, None, "", None, against)
        if not (measuring := self._measuring(against)):
            return replace(said, why=UNMEASURED, measured=False)
        there = of_row(against)
        all_of_it = [cell for cell in self.own if cell.measures(against)]
        cells = [cell for cell in all_of_it if there.is_guided in (None, cell.protocol.is_guided)]
        if not cells:
            return replace(said, why=_not_run(measuring, there, all_of_it))
        cell = min(cells, key=lambda one: _how_far(one.protocol, there))
        notes = [*self._notes(row, against), *_of_cell(cell)]
        if apart := differences(cell.protocol, there):
            return replace(said, verdict=NOT_COMPARABLE, own=cell, why="; ".join([str(apart[0]), *notes]))
        within = self._within(cell, against)
        if (tolerance := self.paper.tolerance.get(against.metric)) is None:
            reason = f"no tolerance stated for {against.of.label}"
            return replace(said, verdict=NOT_COMPARABLE, own=cell, why="; ".join([reason, *notes]), in_reruns=within)
        half = tolerance.around(against.value)
        verdict, reasons = self._compared(cell, against, half)
        if silent := unstated(cell.protocol, there):
            notes.append(f"not stated in the paper: {', '.join(silent)}")
        return replace(said, verdict=verdict, own=cell, why="; ".join([*reasons, *notes]), in_reruns=within)

    def _claim(self, row: Published) -> Published | None:
        """The claim that stands for the row's cell, if it is among the rows."""
        if row.kind == "claim" and row in self.standing:
            return None
        claims = (other for other in self.every if other.kind == "claim" and other in self.standing)
        return next((other for other in claims if _is_one_cell(row, other) and _may_be_one(row, other)), None)

    def _measuring(self, row: Published) -> list[str]:
        """Benchmarks of the suite that measure what the row prints."""
        return [
            name
            for name, one in self.paper.measured.items()
            if (one.data, one.backbone) == (row.data, row.backbone)
            and row.method in one.methods.values()
            and row.metric in one.metrics
            and not row.setting
            and (row.steps or row.epochs)
        ]

    def _notes(self, row: Published, against: Published) -> list[str]:
        return [] if against is row else [f"against the claim {against.printed} ({against.source})"]

    def _compared(self, cell: OwnCell, row: Published, half: float) -> tuple[str, list[str]]:
        """Verdict and reasons of a number that can be compared; `half` the width of the band around it."""
        over = cell.over_seeds
        gap = over.mean - row.value
        reasons = [f"{gap:+.{row.decimals + 1}f}, tolerance {half:.{row.decimals + 1}f}"]
        if over.low is not None and over.high is not None:
            edges = (row.value - half, row.value + half)
            if any(over.low < edge < over.high for edge in edges):
                reasons.append("interval crosses the band's edge")
        if (order := self._order(cell, row)) is not None:
            if order.turned:
                return (WORSE if order.behind else BETTER), [order.words, *reasons]
            reasons.append(order.words)
        if abs(gap) <= half + _SLACK:
            return REPRODUCED, reasons
        return (BETTER if (gap < 0) == (row.of.better == "lower") else WORSE), reasons

    def _order(self, cell: OwnCell, row: Published) -> "_Order | None":
        """How method and baseline stand in every seed beside how the papers have them; None where there is no telling.

        The baseline's cell must be there in both: of the same benchmark, step and sampler, and of a protocol that does
        not contradict the row's.
        """
        if cell.baseline == cell.method or (published := self._baseline(cell, row)) is None:
            return None
        its = next((one for one in self.own if _is_baseline(one, cell)), None)
        seeds = sorted(cell.values.keys() & its.values.keys()) if its else []
        wanted = row.value - published.value
        if its is None or not seeds or not wanted:
            return None
        turned = [seed for seed in seeds if (cell.values[seed] - its.values[seed]) * wanted <= 0]
        paper_is_ahead = (wanted < 0) == (row.of.better == "lower")
        return _Order(cell.baseline, tuple(turned), len(seeds), behind=paper_is_ahead)

    def _baseline(self, cell: OwnCell, row: Published) -> Published | None:
        """The baseline's published number: of the row's source if it has one, else a claim, else any."""
        same = (other for other in self.every if _is_one_cell(row, other, method=cell.baseline))
        found = [other for other in same if _may_be_one(row, other)]
        return min(found, key=lambda other: (other.source != row.source, other.kind != "claim"), default=None)

    def _within(self, cell: OwnCell, row: Published) -> bool | None:
        """Whether the own mean lies in the range of what authors and others got under a protocol like ours."""
        ran = [
            other
            for other in self.every
            if other.kind != "copy" and _is_one_cell(row, other) and not differences(cell.protocol, of_row(other))
        ]
        if all(other.kind == "claim" for other in ran):
            return None
        values = [other.value for other in ran]
        return min(values) <= cell.over_seeds.mean <= max(values)


@dataclass(frozen=True)
class _Order:
    """How a method stands to the baseline.

    Attributes:
        baseline: its name.
        turned: seeds in which the order is not the papers'.
        seeds: how many were looked at.
        behind: whether the method is then behind the baseline where the papers have it ahead.
    """

    baseline: str
    turned: tuple[int, ...]
    seeds: int
    behind: bool

    @property
    def words(self) -> str:
        """In words."""
        if self.turned:
            which = ", ".join(map(str, self.turned))
            return f"order to {self.baseline} reversed in seed{'s' if len(self.turned) > 1 else ''} {which}"
        return f"order to {self.baseline} as published in {self.seeds} seed{'s' if self.seeds > 1 else ''}"


def _is_one_cell(row: Published, other: Published, method: str = "") -> bool:
    """Whether two rows are of one number, the protocol aside; or the other is the same of another method."""
    names = ("data", "backbone", "metric", "setting")
    same = all(getattr(row, name) == getattr(other, name) for name in names) and other.method == (method or row.method)
    if not same or of_row(row).is_guided != of_row(other).is_guided:
        return False
    trained = [(row.steps, other.steps), (row.epochs, other.epochs)]
    return next((one == its for one, its in trained if one and its), False)


def _may_be_one(row: Published, other: Published) -> bool:
    """Whether nothing that both say of their protocols differs."""
    return not contradict(of_row(row), of_row(other))


def _is_baseline(other: OwnCell, cell: OwnCell) -> bool:
    names = ("benchmark", "metric", "steps", "sampler")
    return other.method == cell.baseline and all(getattr(other, name) == getattr(cell, name) for name in names)


def _how_far(here: Protocol, there: Protocol) -> tuple[int, list[int]]:
    """Fewer differences come first, then those of later fields."""
    apart = {one.field for one in differences(here, there)}
    return len(apart), [int(name in apart) for name in vars(here)]


def _not_run(measuring: Sequence[str], there: Protocol, others: Sequence[OwnCell]) -> str:
    if others:
        return f"evaluated {'without' if there.is_guided else 'with'} guidance alone"
    return f"nothing of it is evaluated in {' or '.join(measuring)}"


def _of_cell(cell: OwnCell) -> list[str]:
    """What to know of an own number."""
    count = len(cell.values)
    facts: Mapping[str, bool] = {
        "imported checkpoint": cell.imported,
        "from the committed cache": cell.origin == "cache",
        "one seed, no interval": count == 1,
        f"{count} of {cell.seeds} seeds": count < cell.seeds,
    }
    return [words for words, holds in facts.items() if holds]
