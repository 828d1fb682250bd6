"""A cluster asks a job to save its state, or to save it and leave; work that can do so does it at the next good moment.

Signal handlers belong to whoever started the process (the launcher); they call `ask`. A loop that keeps resumable
state declares `deferred()` around itself and looks at `wanted()` between steps; outside of such a block a request
to leave acts at once, because there is nothing to save.
"""

from collections.abc import Iterator
from contextlib import contextmanager

NOTHING, SAVE, LEAVE = 0, 1, 2  # in order of urgency, so that ranks agree on the largest

_wanted = NOTHING
_deferring = False


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
    _deferring = True
    try:
        yield
    finally:
        _deferring = False
