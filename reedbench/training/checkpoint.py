"""The store of a run: states, weights and records, in safe formats, each written whole or not at all.

Where everything lies, and why: `core.stores`. Nothing here deletes weights or records, nor anything of another recipe;
states are thinned within the store's own key alone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reedbench.core import divided, faults, io, locks, stores
from reedbench.core.console import say
from reedbench.core.errors import MissingArtefact, RunAgain

KEPT_WHILE_TRAINING = 2
Record = dict[str, Any]
# What a whole record (beside its numerics) and the journal of a state say at least.
RECORD = {"weights": str, "state": str, "rows": list, "costs": dict, "since": float}
JOURNAL = {"rows": list, "pending": list, "costs": dict, "since": float, "rates": dict, "numerics": list}


class Store(stores.Folder):
    """States, weights and records of one run under one key."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder)
        for part in (self.states, self.weights, self.records):
            part.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store alone.

        Raises:
            RunAgain: another process trains this run.
        """
        with self.lock.open("w") as file:
            if not locks.taken(file):
                raise RunAgain(f"{self.folder}: another process trains this run; wait for it and run again")
            yield

    def save_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write EMA weights of a save point; they come before the state that counts on them."""
        faults.reach("before-weights", step)
        save_tensors(self.weights_file(step), weights)
        faults.reach("after-weights", step)

    def save_state(self, step: int, tensors: Mapping[str, Tensor], journal: Mapping[str, Any]) -> None:
        """Write a resumable state."""
        faults.reach("before-state", step)
        io.write_json(self.state_file(step).with_suffix(".json"), journal)
        save_tensors(self.state_file(step), tensors)
        faults.reach("after-state", step)

    def save_record(self, step: int, record: Mapping[str, Any]) -> None:
        """Write what a save point leaves for ever, with the digests of its weights and state: the last of its files."""
        digests = {"weights": io.sha256(self.weights_file(step)), "state": io.sha256(self.state_file(step))}
        io.write_json(self.record_file(step), {"step": step, **record, **digests})
        faults.reach("after-record", step)

    def load_state(self, step: int) -> tuple[dict[str, Tensor], Any] | None:
        """A state and its journal, or nothing if either is damaged."""
        try:
            journal = io.read_object(self.state_file(step).with_suffix(".json"), JOURNAL)
            return _load(self.state_file(step)), journal
        except (OSError, SafetensorError, MissingArtefact) as error:
            say(f"state of step {step} is unusable ({error}); going back to an older one")
            return None

    def record(self, step: int) -> Record | None:
        """The record of a save point, if there is a whole one."""
        try:
            return io.read_object(self.record_file(step), RECORD)
        except (OSError, MissingArtefact):
            return None

    def is_whole(self, step: int) -> bool:
        """Whether the weights of a save point are there, and are those that training wrote. Reads all of them."""
        record = self.record(step)
        if record is None or not self.weights_file(step).exists():
            return False
        try:
            if record["weights"] == io.sha256(divided.files(self.weights_file(step))[0]):
                return True
        except MissingArtefact:
            pass
        say(f"{self.weights_file(step)}: is not what training wrote; it is trained again")
        return False

    def prune(self, step: int, count: int) -> None:
        """Keep the newest `count` states up to `step`, and the newest of all: a run trained again from the middle
        must not lose the state from which it can be extended."""
        steps = self.state_steps()
        kept = {*[s for s in steps if s <= step][:count], *steps[:1]}
        for old in set(steps) - kept:
            self.state_file(old).unlink()
            self.state_file(old).with_suffix(".json").unlink(missing_ok=True)
        divided.clear(self.states)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors atomically, in several files where they are large; the bytes depend on names and values alone."""

    def save(some: dict[str, Tensor], file: Path, header: dict[str, str] | None) -> None:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in some.items()}, file, header)

    divided.write(path, tensors, save)


def _load(path: Path) -> dict[str, Tensor]:
    return {name: tensor for file in divided.files(path) for name, tensor in load_file(file).items()}


def publish(files: list[Path], extra: Mapping[str, str], out: Path | str) -> None:
    """Make the directory `out` from hard links to `files` (copies across file systems) and small text files."""
    with io.atomic_directory(out) as part:
        for file in files:
            io.link(file, part / file.name)
        for name, text in extra.items():
            (part / name).write_text(text, encoding="utf-8")


def restore(into: Mapping[str, Tensor], tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Copy `prefix + name` of `tensors` into every tensor of `into`."""
    with torch.no_grad():
        for name, tensor in into.items():
            tensor.copy_(tensors[prefix + name])
