"""What an edit would train anew: which runs, because of which key of the recipe, and what they had cost.

A run's recipe stands in its config.json, written when it was last planned. Where the configuration gives another one,
and the run has been trained, it is trained again; the old states stay until `reedbench clean --delete`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reedbench.core import io, provenance, stores
from reedbench.core.errors import MissingArtefact
from reedbench.schema import lineage, settings
from reedbench.schema.runs import Benchmark, Run

COSTS = ("device_seconds", "flops")
SHOWN = 4
UNITS = ((86400.0, "device-days"), (3600.0, "device-hours"), (60.0, "device-minutes"), (1.0, "device-seconds"))


@dataclass(frozen=True)
class Retrained:
    """A trained run whose recipe the configuration no longer gives."""

    run: Run
    changes: tuple[str, ...]
    """`train.optimiser.lr: 0.002 -> 0.001`, one per key; `teacher sit: ...` of what it learns from."""
    steps: int
    """Up to which it is trained."""
    costs: Mapping[str, float]
    """Of these steps; what is not known is left out."""
    kept: int
    """Step up to which the store of the new recipe has it: not trained twice."""


def retrained(benchmark: Benchmark) -> list[Retrained]:
    """Runs of a benchmark that an edit voids, in file order, and before them those that they learn from.

    These may be of another benchmark, under seeds that its own runs do not have.
    """
    return [found for run in lineage.with_teachers(benchmark.runs(benchmark.methods)) if (found := of_run(run))]


def of_run(run: Run) -> Retrained | None:
    """What an edit does to a run; nothing where it was never trained here, or its recipe is still the same."""
    try:
        old = io.read_json(run.recipe_file)
    except MissingArtefact:
        return None
    if not run.trained or not (receipts := list(_receipts(run))):
        return None
    kept = max((*run.store.state_steps(), *run.store.record_steps()), default=0)
    steps = max(int(receipt["stop"]) for _, receipt in receipts)
    voided = _costs(file for file, _ in receipts)
    # Nothing differs where an edit was planned before: its recipe is written by then.
    why = tuple(_reasons(run, old, run.benchmark)) or ("an edit that was planned before",)
    return Retrained(run, why, steps, voided, kept)


def _reasons(run: Run, old: Any, home: Benchmark, who: str = "") -> Iterator[str]:
    """What differs from an old recipe of a run; in place of its teacher's digits, what differs in that one's recipe.

    Args:
        run: one that a run of `home` learns from, if it is not itself such a run.
        old: its recipe then.
        home: of whose runs names are said alone.
        who: is put in front.
    """
    teacher, new = run.teacher, run.recipe
    then = old.get("teacher") if isinstance(old, dict) else None
    if teacher is None or then is None or then["recipe"] == teacher.run.key:
        yield from (f"{who}{change}" for change in changes(old, new))
        return
    before, after = ({**recipe, "teacher": {"step": recipe["teacher"]["step"]}} for recipe in (old, new))
    yield from (f"{who}{change}" for change in changes(before, after))
    if (known := _recipe_of(teacher.run, then["recipe"])) is None:
        yield f"{who}its teacher changed"
        return
    name = teacher.run.method if teacher.run.benchmark == home else f"{teacher.run.benchmark.name}/{teacher.run.method}"
    yield from _reasons(teacher.run, known, home, f"teacher {name}: ")


def _recipe_of(run: Run, key: str) -> Any:
    """The recipe that has these digits, if it is the one under which the run was planned last."""
    try:
        found = io.read_json(run.recipe_file)
    except MissingArtefact:
        return None
    return found if settings.key(found) == key else None


def lines(every: Iterable[Retrained]) -> list[str]:
    """What a person should read before it happens: one line per benchmark and reason."""
    groups: dict[tuple[str, tuple[str, ...], bool], list[Retrained]] = {}
    for one in every:
        groups.setdefault((one.run.benchmark.name, one.changes, one.kept >= one.steps), []).append(one)
    return [_line(b, reasons, kept, found) for (b, reasons, kept), found in groups.items()]


def changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Keys whose values differ: `train.optimiser.lr: 0.002 -> 0.001`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            yield from changes(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}.{i}")
    elif old != new:
        yield f"{path}: {_word(old)} -> {_word(new)}"


def _word(value: Any) -> str:
    if value is None:
        return "the default"  # what a recipe does not say
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _receipts(run: Run) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Receipts of its segments that belong to another recipe."""
    for file in map(Path, run.receipts):
        try:
            receipt = stores.receipt(file)
        except MissingArtefact:
            continue
        if receipt["key"] != run.key:
            yield file, receipt


def _costs(receipts: Iterable[Path]) -> dict[str, float]:
    """Costs of a run up to its last segment, from the receipts' sidecars."""
    known: list[dict[str, float]] = []
    for file in receipts:
        try:
            known.append(provenance.read(file)["notes"]["run_costs"])
        except (MissingArtefact, KeyError):
            continue
    return {name: max(costs.get(name, 0.0) for costs in known) for name in COSTS} if known else {}


def _line(b: str, reasons: tuple[str, ...], kept: bool, found: list[Retrained]) -> str:
    by_method: dict[str, list[str]] = {}
    for one in found:
        by_method.setdefault(one.run.method, []).append(str(one.run.seed))
    names = ", ".join(f"{m} (seed {', '.join(seeds)})" for m, seeds in by_method.items())
    more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    why = "; ".join(reasons[:SHOWN]) + more
    count = f"{len(found)} run{'' if len(found) == 1 else 's'}"
    if kept:
        back = "goes" if len(found) == 1 else "go"
        return f"{b}: {count} {back} back to a recipe that is kept, nothing is trained twice: {names}: {why}"
    spent = [one.costs for one in found if one.costs]
    cost = f"; that had cost {_amount(spent)}" if spent else ""
    return f"{b}: an edit trains {count} anew: {names}: {why}{cost} (the old states are kept)"


def _amount(spent: list[Mapping[str, float]]) -> str:
    seconds, flops = (sum(costs[name] for costs in spent) for name in COSTS)
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{seconds / size:.3g} {unit} and {flops:.2g} FLOPs"
