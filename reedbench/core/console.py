"""What a person sees while a step runs, and the same as a stream of JSON events.

On a terminal: one rich progress bar with rate, ETA and the latest numbers. Elsewhere: one line a minute. All of it goes
to standard error; standard output is for data. rich is imported where it draws: launchers, hundreds of which wait side
by side, only say lines.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 60.0
_quiet = False


def console(*, stderr: bool = False) -> "Console":
    """A terminal that prints text as it is: nothing in it is an emoji, and no line is broken."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=True)


def say(message: str) -> None:
    """One line for the person, on standard error; above the bar, if there is one."""
    if not _quiet:
        print(message, file=sys.stderr, flush=True)


@contextmanager
def muted() -> Iterator[None]:
    """Say nothing and show no progress inside: another process speaks for this one."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


class Track:
    """Progress of a counted activity; `update(done, loss=0.3)` is cheap enough for once per log interval."""

    def __init__(
        self, title: str, total: int, *, start: int = 0, unit: str = "step", events: Path | None = None
    ) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.start, self.began = start, time.monotonic()
        self.last_line = self.began
        self.events = None
        if events is not None:
            events.parent.mkdir(parents=True, exist_ok=True)
            self.events = events.open("a", encoding="utf-8")
        self.bar = _bar(unit) if sys.stderr.isatty() and not _quiet else None
        self.task: TaskID | None = None

    def __enter__(self) -> "Track":
        if self.bar is not None:
            self.bar.start()
            self.task = self.bar.add_task(self.title, total=self.total, completed=self.start, rate="", numbers="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
        if self.events is not None:
            self.events.close()

    def update(self, done: int, **numbers: float) -> None:
        """Say how far we are (`done` of `total`) with the latest numbers."""
        now = time.monotonic()
        rate = (done - self.start) / max(now - self.began, 1e-9)
        text = " ".join(f"{name} {_short(value)}" for name, value in numbers.items())
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, completed=done, rate=f"{rate:.1f} {self.unit}/s", numbers=text)
        elif now - self.last_line >= SECONDS_BETWEEN_LINES or done >= self.total:
            self.last_line = now
            left = (self.total - done) / rate if rate > 0 else float("nan")
            say(f"{self.title}: {done}/{self.total} {self.unit}s, {rate:.1f}/s, {left:.0f} s left {text}")
        self._event(done=done, rate=rate, **numbers)

    def _event(self, **fields: Any) -> None:
        if self.events is not None:
            record: Mapping[str, Any] = {"time": time.time(), "title": self.title, "total": self.total, **fields}
            self.events.write(json.dumps(record) + "\n")
            self.events.flush()


def _short(value: float) -> str:
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"


def _bar(unit: str) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=console(stderr=True),
    )
