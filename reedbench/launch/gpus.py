"""GPUs of this machine without torch: which there are, and who of several local jobs has which."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reedbench.core import io
from reedbench.launch.processes import Process

LEASES = "work/jobs/gpus"


def visible() -> list[int]:
    """Indices of the GPUs that this process may use: CUDA_VISIBLE_DEVICES where it is set, else the device files.

    Names that are no numbers (UUIDs) cannot be dealt out; they count from 0.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        words = [word for word in named.split(",") if word.strip() not in ("", "-1", "NoDevFiles")]
        return [int(word) for word in words] if all(word.isdecimal() for word in words) else list(range(len(words)))
    return sorted(int(file.name.removeprefix("nvidia")) for file in Path("/dev").glob("nvidia[0-9]*"))


@contextmanager
def _mutex(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lease(count: int, folder: Path | str = LEASES) -> list[int] | None:
    """Take `count` GPUs that no living process holds; nothing if there are not that many now."""
    folder = Path(folder)
    with _mutex(folder):
        free = [gpu for gpu in visible() if not _taken(folder / f"{gpu}.json")]
        if len(free) < count:
            return None
        for gpu in free[:count]:
            io.write_json(folder / f"{gpu}.json", Process.this().plain())
        return free[:count]


def hand_over(gpus: list[int], holder: Process, folder: Path | str = LEASES) -> None:
    """Make another process (the job) the holder: the lease ends with it, whatever happens to the launcher."""
    for gpu in gpus:
        io.write_json(Path(folder) / f"{gpu}.json", holder.plain())


def _taken(file: Path) -> bool:
    return file.exists() and Process(**io.read_json(file)).alive()
