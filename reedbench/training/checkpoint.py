"""The store of a run: resumable states and published weights, in safe formats, each written whole or not at all.

The store is private (`work/<benchmark>/<method>/seed<k>/<key>/`): Snakemake deletes declared outputs before every
attempt, and a state that survives kill, preemption and `--rerun-incomplete` cannot be one.

Layout: `weights/step-XXXXXXX.safetensors` (EMA), `state/step-XXXXXXX.json` (curve and costs so far), and
`state/step-XXXXXXX.safetensors` (network, average, moments). The last file is written last: it is what makes a state.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reedbench.core import faults, io, paths
from reedbench.core.console import say
from reedbench.core.errors import MissingArtefact, RunAgain

KEPT_WHILE_TRAINING = 2


class Store:
    """States and weights of one run under one key."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.states, self.weights = self.folder / "state", self.folder / "weights"
        for part in (self.states, self.weights):
            part.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store alone.

        Raises:
            RunAgain: another process trains this run.
        """
        with (self.folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunAgain(f"{self.folder}: another process trains this run; wait for it and run again") from error
            yield

    def weights_file(self, step: int) -> Path:
        """Published weights of a step."""
        return self.weights / f"{paths.step_name(step)}.safetensors"

    def save_weights(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Write EMA weights of a save point; they come before the state that counts on them."""
        faults.reach("before-weights", step)
        save_tensors(self.weights_file(step), weights)
        faults.reach("after-weights", step)

    def save_state(self, step: int, tensors: Mapping[str, Tensor], journal: Mapping[str, Any]) -> None:
        """Write a resumable state and drop the oldest ones."""
        faults.reach("before-state", step)
        io.write_json(self._state(step).with_suffix(".json"), journal)
        save_tensors(self._state(step), tensors)
        faults.reach("after-state", step)
        self.prune(step, KEPT_WHILE_TRAINING)

    def state_steps(self) -> list[int]:
        """Steps of the states on disk, newest first."""
        found = [re.fullmatch(r"step-(\d+)\.safetensors", file.name) for file in self.states.iterdir()]
        return sorted((int(match.group(1)) for match in found if match), reverse=True)

    def load_state(self, step: int) -> tuple[dict[str, Tensor], Any] | None:
        """A state and its journal, or nothing if either is damaged."""
        try:
            return load_file(self._state(step)), io.read_json(self._state(step).with_suffix(".json"))
        except (OSError, SafetensorError, MissingArtefact) as error:
            say(f"state of step {step} is unusable ({error}); going back to an older one")
            return None

    def state_digest(self, step: int) -> str:
        """sha256 of the state's tensors."""
        return io.sha256(self._state(step))

    def prune(self, step: int, count: int) -> None:
        """Keep the newest `count` states up to `step`, and the newest of all: a run trained again from the middle
        must not lose the state from which it can be extended."""
        steps = self.state_steps()
        kept = {*[s for s in steps if s <= step][:count], *steps[:1]}
        for old in set(steps) - kept:
            self._state(old).unlink()
            self._state(old).with_suffix(".json").unlink(missing_ok=True)

    def drop_weights_outside(self, start: int, stop: int) -> None:
        """Delete weights of other segments; published copies are hard links and stay."""
        for file in self.weights.glob("step-*.safetensors"):
            if not start < int(file.stem.removeprefix("step-")) <= stop:
                file.unlink()

    def drop_other_keys(self) -> None:
        """Delete the stores of this run's earlier recipes: their published weights have just been overwritten."""
        for other in self.folder.parent.iterdir():
            if other != self.folder and other.is_dir():
                shutil.rmtree(other)

    def _state(self, step: int) -> Path:
        return self.states / f"{paths.step_name(step)}.safetensors"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors atomically; the bytes depend on names and values alone (no metadata)."""
    with io.atomic(path) as part:
        save_file({name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}, part)


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
