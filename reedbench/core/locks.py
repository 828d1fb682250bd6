"""Advisory locks, with one policy where a file system has none: go on, and say so once.

Lustre without `-o flock` and NFS without lockd refuse every lock. Refusing to work there would help nobody: Snakemake
and the launchers' tickets keep two processes of one workflow apart; only two workflows by hand are on their own.
"""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from reedbench.core.console import say

NO_LOCKS = frozenset(
    getattr(errno, name) for name in ("ENOLCK", "EOPNOTSUPP", "ENOTSUP", "ENOSYS") if hasattr(errno, name)
)
_said = False


def taken(file: IO[Any]) -> bool:
    """Take the lock of an open file if it is free; says whether this process has it now.

    True also where there are no locks.
    """
    return _flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def opened(path: Path) -> IO[str]:
    """Open a file to be locked; its folder is made, also while other processes remove folders that are empty."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return path.open("a")
        except FileNotFoundError:
            continue


@contextmanager
def alone(path: Path, waiting: Callable[[], object]) -> Iterator[None]:
    """Hold the lock of a file inside the block, once it is free. The file goes with it.

    Also where others do the same to the same file: whoever opened one that is gone by now looks again.

    Args:
        path: of the file; its folder is made.
        waiting: called if the lock is not free.
    """
    while True:
        with opened(path) as file:
            if not taken(file):
                waiting()
                wait(file)
            if path.exists() and path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)
                return


def wait(file: IO[Any]) -> None:
    """Wait for the lock of an open file; not at all where there are no locks."""
    _flock(file, fcntl.LOCK_EX)


def held(path: Path) -> bool:
    """Whether another process holds the lock of a file. Ours is given back at once.

    False where there is no such file, and where there are no locks.
    """
    try:
        with path.open() as file:
            return not _flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # absent, not ours, or a file system that does not answer
        return False


def refused(file: IO[Any]) -> str:
    """Why the file system of an open file gives no lock; empty if it does."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return str(error)
    return ""


def _flock(file: IO[Any], how: int) -> bool:
    global _said
    try:
        fcntl.flock(file.fileno(), how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        if not _said:
            _said = True
            say(f"{file.name}: its file system has no locks ({error.strerror}): start one workflow at a time here")
    return True
