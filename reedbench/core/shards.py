"""Row-wise arrays in safetensors shards, read through memory maps so that a data set need not fit in memory.

A shard folder holds `shard-00000.safetensors, ...`, each with the same named tensors; row i of the folder is row i of
their concatenation. Rows of different lengths lie one after the other, and `<name>#lengths` tells them apart; so do
encoded images (`core.pictures`), which decode to `<name>#shape` and are arrays of uint8 to all who read. The layout
read here (8-byte header length, JSON header, raw little-endian data) is the published safetensors format.
"""

import json
import math
import mmap
import os
import resource
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reedbench.core import io
from reedbench.core.errors import MissingArtefact
from reedbench.core.pictures import Pictures, in_threads
from reedbench.core.ragged import Ragged

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "I8": "|i1", "BOOL": "|b1"}
ROWS_PER_SHARD = 16384
LENGTHS, SHAPE = "#lengths", "#shape"
OPEN = 128  # shards of a folder that stay mapped at least: each is an open file, of which a process may have 1,024
MOST = 8192  # and at most: the system counts maps too
LARGE_ROW = 1 << 14  # bytes from which on rows are copied one by one


def write(folder: Path | str, arrays: Mapping[str, Any], rows_per_shard: int = ROWS_PER_SHARD) -> None:
    """Write arrays that share their first dimension into a fresh shard folder, atomically.

    Raises:
        ValueError: the arrays have different numbers of rows.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"arrays of one shard folder need the same number of rows, got {lengths}")
    (rows,) = set(lengths.values())
    starts = range(0, max(1, rows), rows_per_shard)
    write_parts(folder, ({name: a[i : i + rows_per_shard] for name, a in arrays.items()} for i in starts))


def write_parts(folder: Path | str, parts: Iterable[Mapping[str, Any]]) -> None:
    """Write one shard per part, as they come: only one of them need be in memory."""
    with io.atomic_directory(folder) as whole:
        for number, arrays in enumerate(parts):
            write_part(whole / f"shard-{number:05d}.safetensors", arrays)


def write_part(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write one shard."""
    io.write_tensors(file, _tensors(arrays))


def row_bytes(arrays: Mapping[str, Any]) -> np.ndarray:
    """(n,) int64: bytes of every row in all of the arrays, of images decoded ones."""
    total: np.ndarray | int = 0
    for rows in arrays.values():
        if isinstance(rows, Ragged):
            entry = math.prod(rows.values.shape[1:]) * rows.dtype.itemsize
            total = total + rows.lengths * entry
        else:
            total = total + np.full(len(rows), math.prod(rows.shape[1:]) * rows.dtype.itemsize, np.int64)
    return np.asarray(total, np.int64)


def _tensors(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for name, rows in arrays.items():
        if isinstance(rows, Pictures):
            tensors[name + SHAPE], rows = np.array(rows.shape[1:], np.int64), rows.files
        tensors |= {name: rows.values, name + LENGTHS: rows.lengths} if isinstance(rows, Ragged) else {name: rows}
    return tensors


class Shards:
    """Read access to a shard folder: `len`, `names`, and `read(name, rows)`.

    Raises:
        MissingArtefact: there is no shard, or one is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        files = sorted(io.require(folder).glob("shard-*.safetensors"))
        if not files:
            raise MissingArtefact(f"{folder}: holds no shard; delete the folder and rerun the step that makes it")
        self._open(files)

    @classmethod
    def of(cls, files: Iterable[Path]) -> "Shards":
        """Of single files, in their order."""
        store = cls.__new__(cls)
        store._open(files)
        return store

    def _open(self, files: Iterable[Path]) -> None:
        self._shards = [_Shard(file) for file in files]
        self._mapped: OrderedDict[int, _Mapped] = OrderedDict()
        self._looked_at: set[int] = set()  # shards, since the last release
        self._lock = Lock()  # training reads in two threads
        self._most = min(MOST, max(OPEN, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8))
        self.starts = np.cumsum([0] + [shard.rows for shard in self._shards])

    def _arrays(self, number: int) -> dict[str, Any]:
        """Maps of a shard; those of the shards that were read last stay open."""
        with self._lock:
            if number not in self._mapped:
                self._mapped[number] = self._shards[number].mapped()
                if len(self._mapped) > self._most:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(number)
            self._looked_at.add(number)
            return self._mapped[number].arrays

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def names(self) -> list[str]:
        """Names of the arrays in each shard."""
        return sorted(self._shards[0].kinds)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of the array `name`; -1 where rows differ."""
        return self._shards[0].kinds[name][1]

    def dtype(self, name: str) -> np.dtype:
        """Of the array `name`."""
        found: np.dtype = self._shards[0].kinds[name][0]
        return found

    def sizes(self) -> np.ndarray:
        """(n,) int64: bytes of every row in all arrays."""
        return np.concatenate([shard.sizes() for shard in self._shards])

    def lengths(self, name: str) -> np.ndarray:
        """(n,) int64: lengths of the rows of a ragged array."""
        return np.concatenate([shard.lengths[name] for shard in self._shards])

    def unlike(self) -> str:
        """What tells one shard's arrays from those of the first; nothing where all are alike."""
        first, *others = (shard.kinds for shard in self._shards)
        for number, other in enumerate(others, 2):
            if other != first:
                name = next(n for n in sorted({*first, *other}) if first.get(n) != other.get(n))
                one, another = _words(first.get(name)), _words(other.get(name))
                return f"'{name}' is {one} in the first, {another} in number {number}"
        return ""

    def read(self, name: str, rows: Any = None) -> Any:
        """Rows of the array `name` in the order asked for (an array, or `Ragged`); all rows if none are named."""
        rows = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        if -1 in self.shape(name):
            return self._read_ragged(name, rows)
        if name in self._shards[0].pictures:
            return self._read_pictures(name, rows)
        if len(self._shards) == 1:
            return np.asarray(self._arrays(0)[name][rows])
        out = np.empty((len(rows), *self.shape(name)), self.dtype(name))
        shard_of = self._shard_of(rows)
        large = len(rows) > 0 and out[0].nbytes >= LARGE_ROW
        for number in np.unique(shard_of):
            array, here = self._arrays(number)[name], np.flatnonzero(shard_of == number)
            places = rows[here] - self.starts[number]
            if large:
                for row, place in zip(here, places, strict=True):  # copied once; by an index it would be twice
                    out[row] = array[place]
            else:
                out[here] = array[places]
        return out

    def _shard_of(self, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.starts, rows, side="right") - 1

    def release(self) -> None:
        """Let go of what was read of the files: it would count as this process's memory, though it needs none."""
        with self._lock:
            for number in self._looked_at & self._mapped.keys():
                self._mapped[number].file.madvise(mmap.MADV_DONTNEED)
            self._looked_at.clear()

    def row(self, name: str, row: int) -> np.ndarray:
        """One row as it lies in the file, of which only what is looked at is read."""
        number = int(self._shard_of(np.array(row)))
        with self._shards[number].whole():
            return np.asarray(self._arrays(number)[name][row - int(self.starts[number])])

    def _read_pictures(self, name: str, rows: np.ndarray) -> np.ndarray:
        out = np.empty((len(rows), *self.shape(name)), np.uint8)

        def read(i: int) -> None:
            out[i] = self.row(name, int(rows[i]))

        in_threads(read, range(len(rows)))
        return out

    def _read_ragged(self, name: str, rows: np.ndarray) -> Ragged:
        found = [self.row(name, int(row)) for row in rows]
        values = np.concatenate(found) if found else np.asarray(self._arrays(0)[name].values[:0])
        return Ragged(values, np.array([len(row) for row in found], np.int64))


@dataclass(frozen=True)
class _Mapped:
    """An open file, and what lies in it."""

    file: mmap.mmap
    arrays: dict[str, Any]


class _Shard:
    """What a shard says of itself, without its values.

    Attributes:
        kinds: type and shape of a row of every array; -1 where rows differ.
        lengths: of the rows of its ragged arrays.
        pictures: its arrays of encoded images.

    Raises:
        MissingArtefact: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.whole():
            self._entries = _entries(path)
            arrays = self.mapped().arrays
            if not arrays:
                raise ValueError("it holds no array")
        self.kinds = {name: (array.dtype, tuple(array.shape[1:])) for name, array in arrays.items()}
        self.lengths = {name: np.array(array.lengths) for name, array in arrays.items() if isinstance(array, Ragged)}
        self.pictures = frozenset(name for name, array in arrays.items() if isinstance(array, Pictures))
        self.rows = len(next(iter(arrays.values())))

    def sizes(self) -> np.ndarray:
        """(rows,) int64: bytes of every row in all arrays."""
        total = np.zeros(self.rows, np.int64)
        for name, (kind, shape) in self.kinds.items():
            entries = self.lengths.get(name, 1)
            total += entries * math.prod(side for side in shape if side >= 0) * kind.itemsize
        return total

    def mapped(self) -> _Mapped:
        """Open it."""
        with self.whole():
            return _map(self.path, self._entries)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """What is read inside may be damaged: say which file it is."""
        try:
            yield
        except (ValueError, KeyError, OverflowError, TypeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise MissingArtefact(f"{self.path}: not a whole safetensors file ({what}); delete it and rerun") from error


def _words(array: tuple[Any, tuple[int, ...]] | None) -> str:
    return "absent" if array is None else f"{array[0]} {array[1]}"


def _rows(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays of rows, as they were given to `write`."""
    found: dict[str, Any] = {name: array for name, array in tensors.items() if not name.endswith((LENGTHS, SHAPE))}
    for name, array in found.items():
        if name + LENGTHS in tensors:
            found[name] = Ragged(array, tensors[name + LENGTHS])
        if name + SHAPE in tensors:
            found[name] = Pictures(found[name], tensors[name + SHAPE])
    return found


@dataclass(frozen=True)
class _Entry:
    """Where an array lies in a file."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


def _entries(path: Path) -> dict[str, _Entry]:
    with path.open("rb") as stream:
        length, size = int.from_bytes(stream.read(8), "little"), os.fstat(stream.fileno()).st_size
        if length > size:
            raise ValueError("its header is longer than the file")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        if end > size:
            raise ValueError(f"{name} ends beyond the file")
        found[name] = _Entry(TYPES[entry["dtype"]], tuple(entry["shape"]), begin, end)
    return found


def _map(path: Path, entries: Mapping[str, _Entry]) -> _Mapped:
    with path.open("rb") as stream:
        opened = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    data = np.frombuffer(opened, np.uint8)
    tensors = {name: data[one.begin : one.end].view(one.kind).reshape(one.shape) for name, one in entries.items()}
    return _Mapped(opened, _rows(tensors))
