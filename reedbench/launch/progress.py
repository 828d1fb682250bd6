"""How far a run is, from the files that its training leaves: receipts, states, events, and the lock of its store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reedbench.core import locks, paths, stores
from reedbench.core.errors import MissingArtefact
from reedbench.launch.tail import tail, written
from reedbench.schema.runs import Run


@dataclass(frozen=True)
class Progress:
    """What a run's files say."""

    published: int
    """Last step of the segments that are done, without a gap."""
    kept: int
    """Step from which training can go on."""
    started: bool
    """Whether it has ever been started."""
    began: float
    """When a process last took the store."""
    event: Mapping[str, Any]
    """The newest one of that process; empty if it has not said anything."""

    @property
    def said(self) -> float:
        """When its training last said something, or began."""
        return max(self.began, float(self.event.get("time", 0)))


def held(run: Run) -> bool:
    """Whether a process trains it."""
    return locks.held(run.store.lock)


def log_of(run: Run, i: int) -> Path:
    """What the workflow's job of a segment says."""
    return Path(paths.log("train", run.benchmark.name, run.method, f"seed{run.seed}", f"segment-{i}"))


def look(run: Run) -> Progress:
    """What a run's files say now."""
    published, store = _published(run), run.store
    began, event = written(store.lock), _last_event(store.events)
    if event.get("time", 0) < began:  # opening the lock dates it; rates of an earlier process say nothing
        event = {}
    kept = max([published, *store.state_steps()])
    return Progress(published, kept, published > 0 or store.folder.is_dir(), began, event)


def _published(run: Run) -> int:
    for i, file in enumerate(run.receipts):
        start, stop = run.course.span(i)
        try:
            receipt = stores.receipt(file)
        except (MissingArtefact, OSError):
            return start
        if (receipt["key"], receipt["stop"]) != (run.key, stop):
            return start
    return run.course.total


def _last_event(file: Path) -> Mapping[str, Any]:
    for line in reversed(tail(file)):
        try:
            event = json.loads(line)
        except ValueError:  # being written
            continue
        if isinstance(event, dict) and {"time", "done", "rate"} <= event.keys():
            return event
    return {}
