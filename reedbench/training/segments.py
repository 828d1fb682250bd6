"""Train one segment of a run: interruptible anywhere, ending in the same bytes.

Order of writes (shared specification `segments`): at a save point the weights, then the state that counts on them; at
the end hard links into the declared directory, then the receipt; then the clean-up. Whatever is missing is computed
again from the newest usable state, and said so.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from reedbench.core import faults, interruption, io
from reedbench.core.console import Track, say
from reedbench.core.errors import ConfigError, Diverged, MissingArtefact, Paused
from reedbench.nn.learner import Learner
from reedbench.training import curve
from reedbench.training.checkpoint import Store, publish
from reedbench.training.ranks import Ranks
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

    def logs(self, step: int) -> bool:
        """Whether an interval of the curve ends here; none crosses the border of a segment, also on a walk back."""
        return step % self.log_every == 0 or step in (self.start, self.stop)

    def publishes(self, step: int) -> bool:
        """Whether the weights are published."""
        return step > self.start and self._on_grid(step)

    def keeps(self, step: int) -> bool:
        """Whether the state is saved, asked or not."""
        return step % self.state_every == 0 or self._on_grid(step)

    def _on_grid(self, step: int) -> bool:
        return step % self.save_every == 0 or step == self.stop


def train_segment(trainer: Trainer, store: Store, segment: Segment) -> dict[str, float]:
    """Train steps `start` .. `stop` and publish them; returns the run's costs so far, those of all ranks.

    The first rank alone holds the store and writes. All ranks come here together, and leave together.

    Raises:
        ConfigError: the previous receipt belongs to another recipe.
        Diverged: a loss is not finite.
        Paused: training was asked to leave.
        RunAgain: another process trains this run.
    """
    ranks = trainer.ranks
    with ExitStack() as held:

        def begin() -> int:
            _check_previous(segment)
            held.enter_context(store.locked())
            return _newest(store, segment)

        step = ranks.lead(begin)
        journal = _resume(trainer, store, step)
        _say_where(segment, step)
        if step < segment.stop:
            _advance(trainer, store, segment, step, journal)
        if ranks.first:
            _publish(store, segment, journal, trainer.learner)
        ranks.barrier()
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


def _newest(store: Store, segment: Segment) -> int:
    """Step of the newest state from which this segment can be finished; 0 if there is none."""
    for step in store.state_steps():
        usable = step <= segment.start or (
            step <= segment.stop and all(store.weights_file(s).exists() for s in segment.due(step))
        )
        if usable and store.load_state(step) is not None:
            return step
    return 0


def _resume(trainer: Trainer, store: Store, step: int) -> curve.Journal:
    """Take up the state of a step, or begin at 0 with an empty journal."""
    if step == 0:
        return curve.Journal()
    loaded = store.load_state(step)
    if loaded is None:
        raise MissingArtefact(f"{store.folder}: rank {trainer.ranks.rank} cannot read the state of step {step}")
    tensors, journal = loaded
    trainer.restore(tensors)
    return curve.Journal(**journal)


def _say_where(segment: Segment, step: int) -> None:
    what = f"segment {segment.start}-{segment.stop}"
    if step == segment.stop:
        say(f"{what}: already trained, collected from the store")
    elif step > segment.start:
        say(f"{what}: resumed at step {step}")
    elif step < segment.start:
        say(f"{what}: the state of step {segment.start} is gone; walking back to step {step} (same bytes, more time)")


def _advance(trainer: Trainer, store: Store, segment: Segment, begin: int, journal: curve.Journal) -> None:
    ranks, last_state = trainer.ranks, begin
    journal.rows = [row for row in journal.rows if row["step"] > segment.start]
    trainer.settle_gradients()
    counted = curve.Curve(journal, trainer.order, ranks, trainer.phases)
    events = store.folder / "events.jsonl" if ranks.first else None
    with interruption.deferred(), Track(segment.title, segment.stop, start=begin, events=events) as track:
        for done in range(begin + 1, segment.stop + 1):
            faults.reach("before-step", done)
            counted.enter(done - 1, trainer.flops)
            agreed = ranks.agree(interruption.wanted())  # travels while the step is computed
            counted.add(done, trainer.update(done - 1))
            request = agreed()
            try:
                if segment.logs(done):
                    track.update(done, **_shown(counted.row(done), trainer.device))
                if saving := segment.keeps(done) or request:
                    counted.settle()
            except Diverged as error:
                where = f"last good state: step {last_state} in {store.states}"
                raise ranks.together(Diverged(f"{segment.title}: {error}; {where}")) from error
            if saving:
                last_state = done
                if ranks.first:
                    _save(trainer, store, segment, done, journal)
            if request:
                _heed(request, ranks, segment, done)


def _shown(row: dict[str, float], device: str) -> dict[str, float]:
    """The numbers of a row that progress shows, and what it took on a GPU."""
    numbers = {name: value for name, value in row.items() if name not in QUIET}
    return numbers | ({"gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20} if device == "cuda" else {})


def _save(trainer: Trainer, store: Store, segment: Segment, step: int, journal: curve.Journal) -> None:
    if segment.publishes(step):
        store.save_weights(step, trainer.published())
    store.save_state(step, trainer.state(), journal.plain())


def _heed(request: int, ranks: Ranks, segment: Segment, step: int) -> None:
    """The state is saved as one rank or more were asked to: go on, or leave if there is more to do.

    Raises:
        Paused: on all ranks.
    """
    interruption.ask(request)  # what one rank was asked, all were: whoever started them looks at it
    if request == interruption.LEAVE and step < segment.stop:
        ranks.barrier()  # the first rank is still writing when the others come here
        raise ranks.together(Paused(f"{segment.title}: paused at step {step}, state saved; run again to go on"))
    interruption.answered(interruption.SAVE)
    say(f"{segment.title}: state of step {step} saved, as asked")


def _publish(store: Store, segment: Segment, journal: curve.Journal, learner: Learner) -> None:
    rows = [row for row in journal.rows if segment.start < row["step"] <= segment.stop]
    files = [store.weights_file(step) for step in segment.due(segment.stop)]
    faults.reach("before-publish", segment.stop)
    publish(files, {"curve.csv": curve.as_csv(rows, learner.factors)}, segment.out)
    faults.reach("before-receipt", segment.stop)
    receipt: dict[str, Any] = {
        "key": segment.key,
        "start": segment.start,
        "stop": segment.stop,
        "parameters": learner.sampling_parameters(),
        "terms": {name: learner.kinds.get(name, "loss") for name in learner.factors},
        "weights": {file.name: io.sha256(file) for file in files},  # the same bytes: hard links
        "state": store.state_digest(segment.stop),
    }
    io.write_json(segment.receipt, receipt)
    faults.reach("after-receipt", segment.stop)
    store.prune(segment.stop, 1)
    store.drop_weights_outside(segment.start, segment.stop)
    if segment.start == 0:
        store.drop_other_keys()
