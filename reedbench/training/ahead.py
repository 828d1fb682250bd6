"""What the next steps need from the CPU, made by a thread while the device computes."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Something that each step needs, made up to `depth` steps before it is taken.

    What is made depends on the step alone, so that making it early changes nothing.
    """

    def __init__(self, make: Callable[[int], Made], depth: int, alike: Callable[[int, int], bool]) -> None:
        """For steps that are taken in order, mostly.

        Args:
            make: what a step needs.
            depth: steps; 0 makes everything when it is asked for, in the thread that asks.
            alike: whether the second step's can be made while the first one, or one between them, is current.
        """
        self.make, self.depth, self.alike = make, depth, alike
        self._made: dict[int, Future[Made]] = {}
        self._thread = ThreadPoolExecutor(1, "ahead") if depth else None

    def take(self, step: int) -> Made:
        """What a step needs; then the thread goes on to the next ones.

        Raises:
            Exception: whatever `make` raised.
        """
        found = self._made.pop(step, None)
        for other in [other for other in self._made if not step < other <= step + self.depth]:
            self._made.pop(other).cancel()
        made = self.make(step) if found is None else found.result()
        for later in range(step + 1, step + self.depth + 1):
            if later not in self._made and self._thread and self.alike(step, later):
                self._made[later] = self._thread.submit(self.make, later)
        return made
