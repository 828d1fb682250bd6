"""Train one segment of a run: interruptible anywhere, ending in the same bytes.

Order of writes (shared specification `segments`): at a save point the weights, then the state that counts on them; at
the end hard links into the declared directory, then the receipt; then the clean-up. Whatever is missing is computed
again from the newest usable state, and said so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reedbench.core import faults, io
from reedbench.core.console import Track, say
from reedbench.core.errors import ConfigError, Diverged
from reedbench.training import curve
from reedbench.training.checkpoint import Store, publish
from reedbench.training.trainer import GRADIENT, Trainer

QUIET = (*curve.COUNTS, GRADIENT, curve.RATE, *curve.COSTS)  # columns that progress does not show


@dataclass(frozen=True)
class Segment:
    """Which steps, and where the results go."""

    key: str
    start: int
    stop: int
    save_every: int
    log_every: int
    state_every: int
    out: str
    receipt: str
    previous: str | None
    title: str

    def due(self, step: int) -> list[int]:
        """Save points of this segment up to a step."""
        return [s for s in range(self.save_every, step + 1, self.save_every) if s > self.start]


def train_segment(trainer: Trainer, store: Store, segment: Segment) -> dict[str, float]:
    """Train steps `start` .. `stop` and publish them; returns the run's costs so far.

    Raises:
        ConfigError: the previous receipt belongs to another recipe.
        Diverged: a loss is not finite.
        RunAgain: another process trains this run.
    """
    _check_previous(segment)
    with store.locked():
        step, journal = _resume(trainer, store, segment)
        if step < segment.stop:
            _advance(trainer, store, segment, step, journal)
        _publish(store, segment, journal, trainer.learner.sampling_parameters())
    return journal.costs


def _check_previous(segment: Segment) -> None:
    if segment.previous is None:
        return
    receipt = io.read_json(segment.previous)
    if receipt.get("key") != segment.key or receipt.get("stop") != segment.start:
        raise ConfigError(
            f"{segment.previous}: belongs to recipe {receipt.get('key')}, this run's is {segment.key}: "
            "the configuration was edited since; train that segment again first (snakemake does)"
        )


def _resume(trainer: Trainer, store: Store, segment: Segment) -> tuple[int, curve.Journal]:
    """Load the newest state from which this segment can be finished; 0 and an empty journal if there is none."""
    for step in store.state_steps():
        usable = step <= segment.start or (
            step <= segment.stop and all(store.weights_file(s).exists() for s in segment.due(step))
        )
        loaded = store.load_state(step) if usable else None
        if loaded is not None:
            tensors, journal = loaded
            trainer.restore(tensors)
            _say_where(segment, step)
            return step, curve.Journal(**journal)
    _say_where(segment, 0)
    return 0, curve.Journal()


def _say_where(segment: Segment, step: int) -> None:
    what = f"segment {segment.start}-{segment.stop}"
    if step == segment.stop:
        say(f"{what}: already trained, collected from the store")
    elif step > segment.start:
        say(f"{what}: resumed at step {step}")
    elif step < segment.start:
        say(f"{what}: the state of step {segment.start} is gone; walking back to step {step} (same bytes, more time)")


def _advance(trainer: Trainer, store: Store, segment: Segment, begin: int, journal: curve.Journal) -> None:
    journal.rows = [row for row in journal.rows if row["step"] > segment.start]
    counted = curve.Curve(journal, trainer.settings.batch, trainer.flops_per_step(), trainer.device)
    last_state = begin
    with Track(segment.title, segment.stop, start=begin, events=store.folder / "events.jsonl") as track:
        for done in range(begin + 1, segment.stop + 1):
            faults.reach("before-step", done)
            counted.add(done, trainer.update(done - 1))
            saving = done % segment.save_every == 0 or done == segment.stop
            try:
                # An interval never crosses the border of a segment, also when walking back over it.
                if done % segment.log_every == 0 or done in (segment.start, segment.stop):
                    row = counted.row(done)
                    track.update(done, **{name: row[name] for name in row if name not in QUIET})
                if saving or done % segment.state_every == 0:
                    counted.settle()
            except Diverged as error:
                where = store.folder / "state"
                raise Diverged(f"{segment.title}: {error}; last good state: step {last_state} in {where}") from error
            if saving and done > segment.start:
                store.save_weights(done, trainer.published())
            if saving or done % segment.state_every == 0:
                store.save_state(done, trainer.state(), journal.plain())
                last_state = done


def _publish(store: Store, segment: Segment, journal: curve.Journal, parameters: int) -> None:
    rows = [row for row in journal.rows if segment.start < row["step"] <= segment.stop]
    files = [store.weights_file(step) for step in segment.due(segment.stop)]
    faults.reach("before-publish", segment.stop)
    publish(files, {"curve.csv": curve.as_csv(rows)}, segment.out)
    faults.reach("before-receipt", segment.stop)
    receipt: dict[str, Any] = {
        "key": segment.key,
        "start": segment.start,
        "stop": segment.stop,
        "parameters": parameters,
        "weights": {file.name: io.sha256(Path(segment.out) / file.name) for file in files},
        "state": store.state_digest(segment.stop),
    }
    io.write_json(segment.receipt, receipt)
    faults.reach("after-receipt", segment.stop)
    store.prune(segment.stop, 1)
    store.drop_weights_outside(segment.start, segment.stop)
    if segment.start == 0:
        store.drop_other_keys()
