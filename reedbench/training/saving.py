"""Saves that training need not wait for: a copy in memory, which a thread writes."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from torch import Tensor

from reedbench.core.parts import BYTES

LARGE = 4 * BYTES  # of a state; a smaller one is written while training waits


class Saver:
    """One save at a time, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "save")
        self._last: Future[None] | None = None

    def save(self, write: Callable[[], None], *, later: bool) -> None:
        """Write now, or by the thread, once the save before is on disk.

        Raises:
            Exception: whatever the save before raised, or this one if it is written now.
        """
        self.wait()
        if later:
            self._last = self._thread.submit(write)
        else:
            write()

    def wait(self) -> None:
        """Come back when all is on disk.

        Raises:
            Exception: whatever the last save raised.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """No further saves."""
        self._thread.shutdown()


@contextmanager
def saving() -> Iterator[Saver]:
    """All saves are on disk, or have failed, when the block ends, however it ends."""
    saver = Saver()
    try:
        yield saver
    finally:
        try:
            saver.wait()
        finally:
            saver.close()


def is_large(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a state is written while training goes on."""
    return sum(tensor.nbytes for tensor in tensors.values()) > LARGE


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In memory of their own, on the CPU: training changes the others."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}
