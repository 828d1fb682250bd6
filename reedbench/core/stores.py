"""The layout of a run's store, once: the trainer fills it, and plan, status and clean ask the same questions of it.

A store is private (`work/<benchmark>/<method>/seed<k>/<key>/`): Snakemake deletes declared outputs before every
attempt, and a state that survives kill, preemption and `--rerun-incomplete` cannot be one.

    weights/step-XXXXXXX.safetensors    averaged weights of a save point; published ones are hard links to these
    state/step-XXXXXXX.json             the journal of a state: curve and costs so far
    state/step-XXXXXXX.safetensors      network, average, moments; written after its journal: it is what makes a state
    record/step-XXXXXXX.json            what a save point leaves for ever: digests, rows of the curve, costs, numerics
    events.jsonl                        progress
    lock                                held by the process that trains

Large weights and states lie in several files each (`core.divided`): the one named here is the first, written last.

A record is the last thing that a save point writes, and is never deleted: with it and the weights any segment can be
published again without training, whatever other recipe has been trained since.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reedbench.core import io, paths

RECEIPT = {"key": str, "start": int, "stop": int, "parameters": int, "weights": dict}  # what a receipt says at least
STEP = re.compile(r"step-(\d+)\.(safetensors|json)")


class Folder:
    """Where everything of a store lies; makes nothing."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.states, self.weights, self.records = (self.folder / name for name in ("state", "weights", "record"))
        self.lock, self.events = self.folder / "lock", self.folder / "events.jsonl"

    def state_file(self, step: int) -> Path:
        """Tensors of a state; its journal has the suffix .json."""
        return self.states / f"{paths.step_name(step)}.safetensors"

    def weights_file(self, step: int) -> Path:
        """Averaged weights of a save point."""
        return self.weights / f"{paths.step_name(step)}.safetensors"

    def record_file(self, step: int) -> Path:
        """Record of a save point."""
        return self.records / f"{paths.step_name(step)}.json"

    def state_steps(self) -> list[int]:
        """Steps of the states that are there, newest first."""
        return _steps(self.states, "safetensors")

    def record_steps(self) -> list[int]:
        """Save points that have a record, newest first."""
        return _steps(self.records, "json")

    def keeps(self, step: int) -> bool:
        """Whether the weights of a save point can be published without training."""
        return self.record_file(step).exists() and self.weights_file(step).exists()

    def missing(self, due: Iterable[int]) -> list[int]:
        """Save points whose weights have to be trained."""
        return [step for step in due if not self.keeps(step)]

    def begin(self, missing: Iterable[int]) -> int:
        """The newest state from which all of `missing` can be trained; 0 if there is none."""
        first = min(missing)
        return next((step for step in self.state_steps() if step < first), 0)


@dataclass(frozen=True)
class Kept:
    """A store that lies in the working directory, whoever made it."""

    benchmark: str
    method: str
    seed: int
    key: str
    path: Path

    @cached_property
    def folder(self) -> Folder:
        """Its layout."""
        return Folder(self.path)

    @property
    def run(self) -> tuple[str, str, int]:
        """The run to which it belongs."""
        return self.benchmark, self.method, self.seed


def save_points(start: int, stop: int, every: int) -> list[int]:
    """Steps after `start` up to `stop` at which weights are saved: multiples of `every`."""
    return list(range(start // every * every + every, stop + 1, every))


def receipt(file: Path | str) -> dict[str, Any]:
    """The receipt of a segment.

    Raises:
        MissingArtefact: there is none, or it is damaged.
    """
    return io.read_object(file, RECEIPT, cure=f"publish its segment again: snakemake -f {file}")


def every(root: Path | str = paths.WORK) -> Iterator[Kept]:
    """All stores of a working directory, in the order of their names."""
    for path in sorted(Path(root).glob("*/*/seed*/*")):
        benchmark, method, seed, key = path.relative_to(root).parts
        named = re.fullmatch(r"seed(\d+)", seed)
        if named and re.fullmatch(r"[0-9a-f]{12}", key) and path.is_dir() and not path.is_symlink():
            yield Kept(benchmark, method, int(named[1]), key, path)


def _steps(folder: Path, suffix: str) -> list[int]:
    names = (STEP.fullmatch(file.name) for file in folder.iterdir()) if folder.is_dir() else ()
    return sorted((int(name[1]) for name in names if name and name[2] == suffix), reverse=True)
