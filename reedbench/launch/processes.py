"""Processes by number and start time: a number alone is given again to another process."""

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process of one machine."""

    host: str
    pid: int
    started: str
    """Start time in the machine's own ticks since its boot (field 22 of /proc/<pid>/stat)."""

    @classmethod
    def of(cls, pid: int) -> "Process":
        """The process that has this number now."""
        return cls(platform.node(), pid, _started(pid))

    @classmethod
    def this(cls) -> "Process":
        """This process."""
        return cls.of(os.getpid())

    def here(self) -> bool:
        """Whether it belongs to this machine."""
        return self.host == platform.node()

    def alive(self) -> bool:
        """Whether it runs; a process of another machine counts as alive, because nobody here can know."""
        return not self.here() or (bool(self.started) and _started(self.pid) == self.started)

    def plain(self) -> dict[str, object]:
        """For a JSON file."""
        return asdict(self)


def _started(pid: int) -> str:
    """Empty where there is no such process, or only its zombie."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if after_name[0] in "ZX" else after_name[19]
