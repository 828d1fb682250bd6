"""How far a run is, from the files that its training leaves: receipts, states, events, and the lock of its store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reedbench.core import io, locks, paths
from reedbench.core.errors import MissingArtefact
from reedbench.core.stores import Folder
from reedbench.launch.tail import tail, written


@dataclass(frozen=True)
class Run:
    """A run under its current recipe: what another recipe left is not its own."""

    benchmark: str
    method: str
    seed: int
    key: str
    """Of the recipe."""
    length: int
    """Steps of a segment."""
    segments: int

    @property
    def name(self) -> str:
        """`digits/reed/seed0`."""
        return f"{self.benchmark}/{self.method}/seed{self.seed}"

    @property
    def total(self) -> int:
        """Steps in all: the last evaluation, rounded up to a whole segment as training does."""
        return self.segments * self.length

    @property
    def store(self) -> Folder:
        """Where it keeps its state."""
        return Folder(paths.store(self.benchmark, self.method, self.seed, self.key))

    @property
    def held(self) -> bool:
        """Whether a process trains it."""
        return locks.held(self.store.lock)

    def receipt(self, i: int) -> Path:
        """What says that a segment is done."""
        return Path(paths.receipt(self.benchmark, self.method, self.seed, i))

    def log(self, i: int) -> Path:
        """What the workflow's job of a segment says."""
        return Path(paths.log("train", self.benchmark, self.method, f"seed{self.seed}", f"segment-{i}"))


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


def look(run: Run) -> Progress:
    """Read everything."""
    published, store = _published(run), run.store
    began, event = written(store.lock), _last_event(store.events)
    if event.get("time", 0) < began:  # opening the lock dates it; rates of an earlier process say nothing
        event = {}
    kept = max([published, *store.state_steps()])
    return Progress(published, kept, published > 0 or store.folder.is_dir(), began, event)


def _published(run: Run) -> int:
    for i in range(run.segments):
        try:
            receipt = io.read_json(run.receipt(i))
        except (MissingArtefact, OSError):
            return i * run.length
        if (receipt.get("key"), receipt.get("stop")) != (run.key, (i + 1) * run.length):
            return i * run.length
    return run.total


def _last_event(file: Path) -> Mapping[str, Any]:
    for line in reversed(tail(file)):
        try:
            event = json.loads(line)
        except ValueError:  # being written
            continue
        if isinstance(event, dict) and {"time", "done", "rate"} <= event.keys():
            return event
    return {}
