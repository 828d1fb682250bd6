"""What a job's saves tell its launcher: how far it has come, and how long before its end a job has to be warned.

A step that saves says so (`core.interruption.saved`). Its job notes in the submission's folder how far it has come: a
job that is lost after that was not for nothing. The longest save is noted for all jobs of the same work (the segments
of a run lie side by side): a later job is warned in time for its very first save.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

from reedbench.core import io
from reedbench.core.errors import MissingArtefact

WARNING_SECONDS = 90  # before its time limit a job is told, where saves are short (Slurm may do so up to 60 s earlier)
MARGIN_SECONDS = 30  # for the step that is being computed, and for the requeue


@dataclass(frozen=True)
class Saved:
    """What is known of saves.

    Attributes:
        done: the furthest one, in the step's own units.
        seconds: the longest one.
    """

    done: int
    seconds: float


def note(submission: Path, done: int, seconds: float) -> Saved:
    """Note a save of the job that lives in a submission's folder; returns what is known of this work now."""
    _note(_of_job(submission), done, seconds)
    return _note(_of_work(submission.parent), done, seconds)


def progress(submission: Path) -> int:
    """How far a job has saved; 0 if it has not."""
    known = _read(_of_job(submission))
    return known.done if known else 0


def warning_seconds(desk: Path, minutes: int) -> int:
    """Seconds before its time limit at which the next job of a desk is warned, by the saves of such jobs so far."""
    known = _read(_of_work(desk))
    return warning(known.seconds if known else 0.0, minutes)


def warning(seconds: float, minutes: int) -> int:
    """Seconds before its time limit at which a job is warned; at most half of its time.

    Args:
        seconds: what its longest save takes; twice that is allowed for, as shared file systems have bad moments.
        minutes: its time limit.
    """
    return min(max(WARNING_SECONDS, MARGIN_SECONDS + math.ceil(2 * seconds)), 30 * minutes)


def is_too_long(seconds: float, minutes: int) -> bool:
    """Whether saves take so long that a job of so many minutes cannot be warned in time."""
    return MARGIN_SECONDS + 2 * seconds > 30 * minutes


def _of_job(submission: Path) -> Path:
    return submission / "saved.json"


def _of_work(desk: Path) -> Path:
    return desk.parent / "saved.json"


def _note(file: Path, done: int, seconds: float) -> Saved:
    known = _read(file) or Saved(0, 0.0)
    new = Saved(max(known.done, done), max(known.seconds, round(seconds, 3)))
    if new != known:
        io.write_text(file, io.canonical_json(asdict(new)), shared=True)
    return new


def _read(file: Path) -> Saved | None:
    try:
        return Saved(**io.read_json(file))
    except (MissingArtefact, OSError, TypeError):  # none yet, or of another version
        return None
