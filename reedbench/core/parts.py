"""Parts of a step's output, kept while the step runs, so that one that is killed goes on where it was.

A heavy step cuts its work into parts by its input alone, never by how many processes share it, and writes each part to
a file in a private folder below `work/parts/`. The folder is named by a digest of all that decides the bytes of the
parts (settings, inputs, cuts); a part that is there is whole and right. When all are there they get a second name in
the output's folder, and the private folder goes once the step has recorded its outputs.

    work/parts/<verb>/<names>/<digest>/part-00000.safetensors
    work/parts/<verb>/<names>/<digest>/part-00000.json          what the part took; written before the part
    work/parts/<verb>/<names>/<digest>/lock                     held while somebody makes parts
"""

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reedbench.core import faults, interruption, io, locks, paths
from reedbench.core.errors import Paused, RunAgain

BYTES = 64 << 20
"""What a part holds, about: large enough for disks, small enough that little is lost with one."""
LOCK = "lock"
DIGEST = re.compile(r"[0-9a-f]{12}")


class Parts:
    """The parts of one output; `count` of them, numbered from 0."""

    def __init__(self, names: Sequence[str], decides: object, count: int, suffix: str = ".safetensors") -> None:
        """For the output that `names` name; `decides` is a plain value, all that decides the bytes of the parts."""
        self.names, self.count, self.suffix = names, count, suffix
        self.folder = Path(paths.parts(*names, io.digest_of([decides, count])))

    def file(self, number: int) -> Path:
        """Where a part lies."""
        return self.folder / f"part-{number:05d}{self.suffix}"

    def beside(self, number: int, suffix: str) -> Path:
        """A small file that belongs to a part; it has to be written before the part itself is there."""
        return self.file(number).with_suffix(suffix)

    def files(self) -> list[Path]:
        """All parts, in order."""
        return [self.file(number) for number in range(self.count)]

    @property
    def lock(self) -> Path:
        """Held by whoever makes them."""
        return self.folder / LOCK

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from making them, and from deleting them, inside the block.

        Raises:
            RunAgain: somebody else makes them now.
        """
        with locks.opened(self.lock) as lock:
            if not locks.taken(lock):
                raise RunAgain(f"{'/'.join(self.names)}: another process makes it now (it holds {self.lock})")
            yield

    def missing(self) -> list[int]:
        """Parts that are not there yet."""
        return [number for number in range(self.count) if not self.file(number).exists()]

    def make(self, mine: Sequence[int]) -> Iterator[tuple[int, Path]]:
        """Every part of this process with the path to write it to; it is there when the next one is asked for.

        Args:
            mine: the missing parts that fell to this process.

        Raises:
            Paused: asked to leave; all parts until here are kept.
        """
        with interruption.deferred():
            for done, number in enumerate(mine):
                faults.reach("before-part", number)
                if interruption.wanted() == interruption.LEAVE:
                    raise Paused(
                        f"{'/'.join(self.names)}: paused, {len(mine) - done} of {self.count} parts left; run again to "
                        "go on"
                    )
                began = time.monotonic()
                with self._writing(number) as part:
                    yield number, part
                faults.reach("after-part", number)
                interruption.answered(interruption.SAVE)
                interruption.saved(number, time.monotonic() - began)

    @contextmanager
    def _writing(self, number: int) -> Iterator[Path]:
        with io.atomic(self.file(number), in_place=True, shared=True) as part:
            yield part

    def link(self, folder: Path, name: str = "shard-{:05d}.safetensors") -> None:
        """Give all parts, in order, a second name in an existing folder."""
        for number in range(self.count):
            io.link(self.file(number), folder / name.format(number))

    def discard(self) -> None:
        """Remove the private folder, and those above it that are empty then."""
        io.remove(self.folder, Path(paths.WORK))


def every() -> Iterator[tuple[str, Path]]:
    """All private folders of a working directory, with the names of their outputs."""
    root = Path(paths.parts())
    for folder in sorted(root.glob("*/**/")):
        if DIGEST.fullmatch(folder.name) and (folder / LOCK).exists():
            yield str(folder.parent.relative_to(root)), folder


def cuts(row_bytes: Iterable[int], limit: int = BYTES, most: int | None = None) -> list[slice]:
    """Consecutive rows of at most `limit` bytes together, and at most `most`; a row that is larger is alone.

    At least one, if empty.
    """
    found, begin, size, row = [], 0, 0, -1
    for row, more in enumerate(row_bytes):
        if row > begin and (size + more > limit or row - begin == most):
            found.append(slice(begin, row))
            begin, size = row, 0
        size += more
    return [*found, slice(begin, row + 1)]


def even_cuts(rows: int, row_bytes: int, limit: int = BYTES) -> list[slice]:
    """`cuts` of rows of one size, in equal parts but for the last."""
    each = max(1, limit // max(1, row_bytes))
    return [slice(begin, min(begin + each, rows)) for begin in range(0, max(rows, 1), each)]
