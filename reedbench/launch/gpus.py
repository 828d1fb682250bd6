"""GPUs of this machine without torch: which there are, and who of several local jobs has which."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reedbench.core import io, locks
from reedbench.core.errors import ConfigError
from reedbench.launch.processes import Process

LEASES = Path(tempfile.gettempdir()) / f"reedbench-gpus-{os.getuid()}"  # of this machine, for all working directories


def visible() -> list[int]:
    """Indices of the GPUs that this process may use: CUDA_VISIBLE_DEVICES where it is set, else one per device file.

    Raises:
        ConfigError: GPUs are named otherwise than by numbers, and cannot be dealt out.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return list(range(len(list(Path("/dev").glob("nvidia[0-9]*")))))
    words = [word for word in named.split(",") if word.strip() not in ("", "-1", "NoDevFiles")]
    if not all(word.strip().isdecimal() for word in words):
        raise ConfigError(f"CUDA_VISIBLE_DEVICES={named}: name GPUs by their numbers")
    return [int(word) for word in words]


def any_visible() -> bool:
    """Whether there is any GPU, however it is named."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return bool(visible()) if named is None else named.strip() not in ("", "-1", "NoDevFiles")


@contextmanager
def _mutex(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        if not locks.taken(file):
            locks.wait(file)
        yield


def lease(count: int, folder: Path | str = LEASES) -> list[int] | None:
    """Take `count` GPUs that no living process holds; nothing if there are not that many now."""
    if not count:
        return []
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
    return file.exists() and Process(**io.read_object(file, {"host": str, "pid": int, "started": str})).alive()
