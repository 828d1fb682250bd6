"""Row-wise arrays in safetensors shards, read through memory maps so that a data set need not fit in memory.

A shard folder holds `shard-00000.safetensors, ...`, each with the same named tensors; row i of the folder is row i of
their concatenation. Rows of different lengths lie one after the other, and `<name>#lengths` tells them apart. The
layout read here (8-byte header length, JSON header, raw little-endian data) is the published safetensors format.
"""

import json
import math
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io
from reedbench.core.errors import MissingArtefact
from reedbench.core.ragged import Ragged

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
ROWS_PER_SHARD = 16384
LENGTHS = "#lengths"


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
    """(n,) int64: bytes of every row in all of the arrays."""
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
        mapped = [_checked(file) for file in files]
        self.files, self.maps = [file for file, _ in mapped], [rows for _, rows in mapped]
        self.starts = np.cumsum([0] + [len(next(iter(shard.values()))) for shard in self.maps])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def names(self) -> list[str]:
        """Names of the arrays in each shard."""
        return sorted(self.maps[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of the array `name`; -1 where rows differ."""
        return tuple(self.maps[0][name].shape[1:])

    def dtype(self, name: str) -> np.dtype:
        """Of the array `name`."""
        found: np.dtype = self.maps[0][name].dtype
        return found

    def sizes(self) -> np.ndarray:
        """(n,) int64: bytes of every row in all arrays."""
        return np.concatenate([row_bytes(shard) for shard in self.maps])

    def lengths(self, name: str) -> np.ndarray:
        """(n,) int64: lengths of the rows of a ragged array."""
        return np.concatenate([shard[name].lengths for shard in self.maps])

    def unlike(self) -> str:
        """What tells one shard's arrays from those of the first; nothing where all are alike."""
        first, *others = ({name: (rows.dtype, rows.shape[1:]) for name, rows in shard.items()} for shard in self.maps)
        for number, other in enumerate(others, 2):
            if other != first:
                name = next(n for n in sorted({*first, *other}) if first.get(n) != other.get(n))
                one, another = _words(first.get(name)), _words(other.get(name))
                return f"'{name}' is {one} in the first, {another} in number {number}"
        return ""

    def read(self, name: str, rows: Any = None) -> Any:
        """Rows of the array `name` in the order asked for (an array, or `Ragged`); all rows if none are named."""
        rows = np.arange(len(self)) if rows is None else np.asarray(rows, np.int64)
        if isinstance(self.maps[0][name], Ragged):
            return self._read_ragged(name, rows)
        if len(self.maps) == 1:
            return np.asarray(self.maps[0][name][rows])
        out = np.empty((len(rows), *self.shape(name)), self.maps[0][name].dtype)
        shard_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(shard_of):
            here = shard_of == number
            out[here] = self.maps[number][name][rows[here] - self.starts[number]]
        return out

    def release(self) -> None:
        """Let go of what was read of the files: it would count as this process's memory, though it needs none."""
        for file in self.files:
            file.madvise(mmap.MADV_DONTNEED)

    def row(self, name: str, row: int) -> np.ndarray:
        """One row as it lies in the file, of which only what is looked at is read."""
        shard = int(np.searchsorted(self.starts, row, side="right")) - 1
        return np.asarray(self.maps[shard][name][row - int(self.starts[shard])])

    def _read_ragged(self, name: str, rows: np.ndarray) -> Ragged:
        shard_of = np.searchsorted(self.starts, rows, side="right") - 1
        found = [self.maps[s][name][int(row - self.starts[s])] for s, row in zip(shard_of, rows, strict=True)]
        values = np.concatenate(found) if found else np.asarray(self.maps[0][name].values[:0])
        return Ragged(values, np.array([len(row) for row in found], np.int64))


def _words(array: tuple[Any, tuple[int, ...]] | None) -> str:
    return "absent" if array is None else f"{array[0]} {array[1]}"


def _rows(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays of rows, as they were given to `write`."""
    plain = {name: array for name, array in tensors.items() if not name.endswith(LENGTHS)}
    return {
        name: Ragged(array, tensors[name + LENGTHS]) if name + LENGTHS in tensors else array
        for name, array in plain.items()
    }


def _checked(file: Path) -> tuple[mmap.mmap, dict[str, Any]]:
    try:
        opened, tensors = _map(file)
        return opened, _rows(tensors)
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MissingArtefact(f"{file}: not a whole safetensors file ({what}); delete it and rerun") from error


def _map(file: Path) -> tuple[mmap.mmap, dict[str, np.ndarray]]:
    with file.open("rb") as stream:
        opened = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    length = int.from_bytes(opened[:8], "little")
    if length > len(opened):
        raise ValueError("its header is longer than the file")
    header = json.loads(opened[8 : 8 + length])
    header.pop("__metadata__", None)
    data = np.frombuffer(opened, np.uint8)[8 + length :]
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if end > len(data):
            raise ValueError(f"{name} ends beyond the file")
        arrays[name] = data[begin:end].view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return opened, arrays
