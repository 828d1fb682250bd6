"""Device-seconds, the cost of work on the device that does it.

A GPU is held alone, so the seconds of a clock count, waiting included. The cores of a CPU are shared with whatever else
runs on the machine, so only the seconds count that they worked for this process, in all its threads: other work beside
a run does not make it dearer.
"""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Stopwatch:
    """What the clocks showed when it was started."""

    wall: float
    cpu: float

    @classmethod
    def start(cls) -> "Stopwatch":
        """One that counts from now on."""
        return cls(time.monotonic(), time.process_time())

    def seconds(self) -> float:
        """On a clock."""
        return time.monotonic() - self.wall

    def cpu_seconds(self) -> float:
        """That cores worked for this process."""
        return time.process_time() - self.cpu

    def device_seconds(self, device: str) -> float:
        """Of one device, `cpu` or whatever else torch calls it."""
        return self.cpu_seconds() if device == "cpu" else self.seconds()

    def without(self, other: "Stopwatch") -> "Stopwatch":
        """This one, as if it had stood still since the start of another."""
        return Stopwatch(self.wall + other.seconds(), self.cpu + other.cpu_seconds())
