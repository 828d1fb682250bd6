"""A cluster asks a job to save its state, or to save it and leave; work that can do so does it at the next good moment.

Signal handlers belong to whoever started the process (the launcher); they call `ask`. A loop that keeps resumable
state declares `deferred()` around itself and looks at `wanted()` between steps; outside of such a block a request
to leave acts at once, because there is nothing to save. Whatever saves says how far it got and how long the save took
(`saved`): whoever warns it before a time limit has to leave it that long.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTHING, SAVE, LEAVE = 0, 1, 2  # in order of urgency, so that ranks agree on the largest

_wanted = NOTHING
_deferring = False
_listener: Callable[[int, float], None] | None = None


def ask(request: int) -> bool:
    """Note a request; says whether a loop will act on it."""
    global _wanted
    _wanted = max(_wanted, request)
    return _deferring


def wanted() -> int:
    """The most urgent request that has not been answered."""
    return _wanted


def answered(request: int = LEAVE) -> None:
    """The state is saved: forget what was asked, unless something more urgent has been asked since."""
    global _wanted
    if _wanted <= request:
        _wanted = NOTHING


@contextmanager
def deferred() -> Iterator[None]:
    """While this block runs, it looks at `wanted` itself."""
    global _deferring
    before, _deferring = _deferring, True
    try:
        yield
    finally:
        _deferring = before


def listen(listener: Callable[[int, float], None] | None) -> None:
    """Be told of every save from now on: how far the work has come (in its own units), and how many seconds it took."""
    global _listener
    _listener = listener


def saved(done: int, seconds: float) -> None:
    """Say that the state after `done` steps is on disk, and what writing it took."""
    if _listener is not None:
        _listener(done, seconds)
