"""Train one segment of a run: interruptible anywhere, ending in the same bytes.

Order of writes: at a save point the weights, the state that counts on them, and the record that says what both are; at
the end of the segment hard links into the declared directory, then the receipt. What the store lacks is computed again
from the newest usable state, and said so. A segment whose weights and records are all there is published untrained.
A large state is copied, and written by a thread while training goes on; the order of writes is the same.
"""

import time
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch

from reedbench.core import devices, divided, faults, interruption, io, numerics, stores
from reedbench.core.console import Track, say
from reedbench.core.errors import ConfigError, Diverged, MissingArtefact, Paused
from reedbench.core.numerics import Numerics
from reedbench.training import curve
from reedbench.training.checkpoint import KEPT_WHILE_TRAINING, Record, Store, publish
from reedbench.training.saving import Saver, copied, is_large, saving
from reedbench.training.trainer import GRADIENT, Trainer

QUIET = (*curve.COUNTS, GRADIENT, *curve.COSTS)  # columns that progress does not show
UNDER = "numerics"  # in a state's journal and in a record: which steps were trained under which


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

    @property
    def due(self) -> list[int]:
        """Save points of this segment."""
        return stores.save_points(self.start, self.stop, self.save_every)

    def logs(self, step: int) -> bool:
        """Whether an interval of the curve ends here; none crosses a save point, at each of which a segment may end."""
        return step % self.log_every == 0 or self.saves(step)

    def saves(self, step: int) -> bool:
        """Whether this is a save point, of this segment or of one before."""
        return step % self.save_every == 0 or step in (self.start, self.stop)

    def keeps(self, step: int) -> bool:
        """Whether the state is saved here without being asked for."""
        return step % self.state_every == 0 or self.saves(step)


@dataclass
class Session:
    """The work of one process on a segment.

    Attributes:
        under: numerics since the last save point, in spans: each is `after` a step, and the `numerics` from there on.
        missing: save points whose weights the store lacks; known to the first rank alone.
        begin: step of the state from which training goes on.
        goal: the last step to train; 0 where nothing is missing.
    """

    trainer: Trainer
    store: Store
    segment: Segment
    here: Numerics
    missing: list[int] = field(default_factory=list)
    begin: int = 0
    goal: int = 0
    journal: curve.Journal = field(default_factory=curve.Journal)
    under: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """What is known of a segment when it is published; ranks other than the first know only their own part."""

    costs: dict[str, float]
    """The run's until the end of the segment, those of all ranks."""
    numerics: Numerics
    """Under which the segment was trained, see `core.numerics.joined`."""


def train_segment(trainer: Trainer, store: Store, segment: Segment) -> Trained:
    """Train steps `start` .. `stop` and publish them, or publish what the store has.

    The first rank alone holds the store and writes. All ranks come here together, and leave together.

    Raises:
        ConfigError: the previous receipt belongs to another recipe, or to another length of segments.
        Diverged: a loss is not finite.
        Paused: training was asked to leave.
        RunAgain: another process trains this run.
    """
    ranks = trainer.ranks
    here = numerics.here(
        trainer.device, ranks=ranks.world, accumulation=trainer.settings.accumulation, compiled=trainer.compiled
    )
    work = Session(trainer, store, segment, here)
    with ExitStack() as held:

        def look() -> int:
            _check_previous(segment)
            held.enter_context(store.locked())
            work.missing = [step for step in segment.due if not store.is_whole(step)]
            return max(work.missing, default=0)

        work.goal = ranks.lead(look)
        if work.goal:
            work.begin = ranks.lead(lambda: _newest(work))
            _resume(work)
            _say_where(work)
            _advance(work)
        else:
            say(f"segment {segment.start}-{segment.stop}: already trained, collected from the store")
        trained = _publish(work) if ranks.first else Trained(work.journal.costs, here)
        ranks.barrier()
    return trained


def _check_previous(segment: Segment) -> None:
    if segment.previous is None:
        return
    receipt = stores.receipt(segment.previous)
    if receipt["key"] != segment.key:
        raise ConfigError(
            f"{segment.previous}: belongs to recipe {receipt['key']}, this run's is {segment.key}: "
            "the configuration was edited since; train that segment again first (snakemake does)"
        )
    if receipt["stop"] != segment.start:
        raise ConfigError(
            f"{segment.previous}: ends at step {receipt['stop']}, this segment begins at {segment.start}: "
            "train.segment was edited since; run that segment again first (snakemake does; nothing is trained twice)"
        )


def _newest(work: Session) -> int:
    """Step of the newest state from which what is missing can be trained; 0 if there is none."""
    for step in work.store.state_steps():
        if step < min(work.missing) and work.store.load_state(step) is not None:
            return step
    return 0


def _resume(work: Session) -> None:
    """Take up the state of a step, or begin at 0 with an empty journal."""
    if work.begin:
        loaded = work.store.load_state(work.begin)
        if loaded is None:
            rank = work.trainer.ranks.rank
            raise MissingArtefact(f"{work.store.folder}: rank {rank} cannot read the state of step {work.begin}")
        tensors, journal = loaded
        work.under = journal.pop(UNDER)
        work.trainer.restore(tensors)
        work.journal = curve.Journal(**journal)
    last = work.under[-1][UNDER] if work.under else work.here
    if changed := numerics.changes(last, work.here):
        say(f"{work.segment.title}: from step {work.begin} on under other numerics: {changed}; only rounding differs")
    if changed or not work.under:
        work.under = [span for span in work.under if span["after"] < work.begin]
        work.under.append({"after": work.begin, UNDER: work.here})


def _say_where(work: Session) -> None:
    segment, step = work.segment, work.begin
    what = f"segment {segment.start}-{segment.stop}"
    if work.missing and work.missing != [s for s in segment.due if s >= work.missing[0]]:  # gaps between what is there
        steps = ", ".join(map(str, work.missing))
        say(f"{what}: the weights of step {steps} were not kept; running again from step {step} (same bytes)")
    elif step > segment.start:
        say(f"{what}: resumed at step {step}")
    elif step < segment.start:
        say(f"{what}: the state of step {segment.start} is gone; walking back to step {step} (same bytes, more time)")


def _advance(work: Session) -> None:
    trainer, segment, journal = work.trainer, work.segment, work.journal
    ranks, last_state = trainer.ranks, work.begin
    trainer.settle_gradients()
    counted = curve.Curve(journal, trainer.order, ranks, trainer.learner.phase, devices.peak(work.here["device"]))
    events = work.store.events if ranks.first else None
    with (
        interruption.deferred(),
        saving() as saver,
        Track(segment.title, work.goal, start=work.begin, events=events) as track,
    ):
        for done in range(work.begin + 1, work.goal + 1):
            faults.reach("before-step", done)
            counted.enter(done - 1, trainer.flops)
            agreed = ranks.agree(interruption.wanted())  # travels while the step is computed
            counted.add(done, trainer.update(done - 1))
            request = agreed()
            try:
                if segment.logs(done):
                    row = counted.row(done)
                    track.update(done, **_shown(row, trainer.device))
                    if (remark := counted.remark(trainer.learner.remark(row))) and ranks.first:
                        say(f"{segment.title}: step {done}: {remark}")
                if due := segment.keeps(done) or request:
                    counted.settle()
            except Diverged as error:
                saver.wait()
                ranks.barrier()  # the first rank may still have been writing when the others come here
                where = f"last good state: step {last_state} in {work.store.states}"
                raise ranks.together(Diverged(f"{segment.title}: {error}; {where}")) from error
            if due:
                last_state = done
                _save(work, saver, done)
            if request:
                saver.wait()
                _heed(request, work, done)


def _shown(row: dict[str, float], device: str) -> dict[str, float]:
    """The numbers of a row that progress shows, and what it took on a GPU."""
    numbers = {name: value for name, value in row.items() if name not in QUIET}
    return numbers | ({"gpu_memory_mb": torch.cuda.max_memory_allocated() / 2**20} if device == "cuda" else {})


def _save(work: Session, saver: Saver, step: int) -> None:
    """Write what is due at a step; on ranks other than the first only the journal moves on."""
    store, journal = work.store, work.journal
    record: Record | None = None
    if work.segment.saves(step):
        record = {"rows": journal.rows, "costs": dict(journal.costs), "since": journal.since, UNDER: work.under}
        journal.rows, work.under = [], [{"after": step, UNDER: work.here}]
    if not work.trainer.ranks.first:
        return
    saver.wait()  # what is asked of the store is settled then
    writes = record is not None and (step in work.missing or store.record(step) is None)
    if not writes and record is not None and (known := store.record(step)):
        # Trained before: what that took is what this run cost, and its curve goes on from there.
        journal.costs.update(known["costs"])
        journal.since = known["since"]
    weights = work.trainer.published() if writes else {}
    state, said = work.trainer.state(), {**journal.plain(), UNDER: work.under}
    if later := is_large(state):
        weights, state, said = copied(weights), copied(state), deepcopy(said)

    def write() -> None:
        began = time.monotonic()
        if writes and record is not None:
            store.save_weights(step, weights)
            _cap(record, store, step)
        store.save_state(step, state, said)
        if writes and record is not None:
            store.save_record(step, record)
        store.prune(step, KEPT_WHILE_TRAINING)
        interruption.saved(step, time.monotonic() - began)

    saver.save(write, later=later)


def _cap(record: Record, store: Store, step: int) -> None:
    """What is run again between steps that were trained before costs no more than the run had cost by then."""
    later = (store.record(other) for other in reversed(store.record_steps()) if other > step)
    rows = (row for known in later if known for row in known["rows"] if row["step"] > step)
    if (bound := next(rows, None)) is not None:
        for costs in (record["costs"], *record["rows"]):
            costs |= {name: min(costs[name], bound[name]) for name in curve.COSTS}
        record["since"] = min(record["since"], record["costs"]["device_seconds"])


def _heed(request: int, work: Session, step: int) -> None:
    """The state is saved as one rank or more were asked to: go on, or leave if there is more to do.

    Raises:
        Paused: on all ranks.
    """
    ranks, title = work.trainer.ranks, work.segment.title
    interruption.ask(request)  # what one rank was asked, all were: whoever started them looks at it
    if request == interruption.LEAVE and step < work.goal:
        ranks.barrier()  # the first rank is still writing when the others come here
        raise ranks.together(Paused(f"{title}: paused at step {step}, state saved; run again to go on"))
    interruption.answered(interruption.SAVE)
    say(f"{title}: state of step {step} saved, as asked")


def _publish(work: Session) -> Trained:
    """Link what the store has into place, and write the receipt that vouches for it."""
    store, segment, learner = work.store, work.segment, work.trainer.learner
    records = {step: record for step in segment.due if (record := store.record(step)) is not None}
    told = _told(store, segment)
    last, spans = records[segment.stop], _under({**told, **records}, segment)
    under = numerics.joined([span[UNDER] for span in spans])
    faults.reach("before-publish", segment.stop)
    files = [file for step in segment.due for file in divided.files(store.weights_file(step))]
    publish(files, {"curve.csv": curve.as_csv(_rows(told, segment), learner.factors)}, segment.out)
    faults.reach("before-receipt", segment.stop)
    receipt: dict[str, Any] = {
        "key": segment.key,
        "start": segment.start,
        "stop": segment.stop,
        "parameters": learner.sampling_parameters(),
        "terms": {name: learner.kinds.get(name, "loss") for name in learner.factors},
        "weights": {store.weights_file(step).name: record["weights"] for step, record in records.items()},
        "state": last["state"],
        "numerics": under,
        **({"numerics_after": spans} if len(spans) > 1 else {}),
    }
    io.write_json(segment.receipt, receipt)
    faults.reach("after-receipt", segment.stop)
    store.prune(segment.stop, 1)
    return Trained(last["costs"], under)


def _under(records: dict[int, Record], segment: Segment) -> list[dict[str, Any]]:
    """After which step of a segment which numerics began, in the order of its steps."""
    found: list[dict[str, Any]] = []
    for step in sorted(records):
        spans = records[step][UNDER]
        first = [{**span, "after": segment.start} for span in spans if span["after"] <= segment.start][-1:]
        for span in (*first, *(span for span in spans if span["after"] > segment.start)):
            if not found or found[-1][UNDER] != span[UNDER]:
                found.append(span)
    return found


def _told(store: Store, segment: Segment) -> dict[int, Record]:
    """Records that tell of every step of the segment once, by their save points.

    A record tells of all steps since the save point before it; so does one between them that was filled in later, for a
    finer grid, and does not count where it need not.
    """
    found: dict[int, Record] = {}
    reached = segment.stop
    for step in store.record_steps():
        if segment.start < step <= reached and (record := store.record(step)) is not None:
            found[step], reached = record, record[UNDER][0]["after"]
    return found


def _rows(told: dict[int, Record], segment: Segment) -> list[dict[str, float]]:
    """Rows of the segment's curve."""
    return [row for step in sorted(told) for row in told[step]["rows"] if row["step"] > segment.start]
