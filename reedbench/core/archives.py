"""npz files larger than memory: written part by part, read through memory maps.

An npz is a zip of npy files (numpy.lib.format), and numpy stores them as they are: an array in it is a stretch of the
file. What is written here is byte for byte what `numpy.savez` writes, unless it is asked to put arrays where maps of
them are aligned.
"""

import math
import mmap
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from reedbench.core import io
from reedbench.core.errors import MissingArtefact
from reedbench.core.parts import BYTES

PASS = 32 << 20
"""Bytes of an array that are looked at together."""
LARGE = BYTES
"""Bytes of a file above which it is mapped and not loaded."""
ALIGNED = 64
LOCAL_HEADER = struct.Struct("<26xHH")  # of a zip member: lengths of its name and of what else stands before its data
ZIP64 = 20  # bytes that zipfile adds to a header for sizes above 4 GB
PADDING = 0xD935  # mark of a header field that is there for alignment (as in Android's zipalign)
FIELD = struct.Struct("<HH")


@dataclass(frozen=True)
class Stream:
    """An array that comes in consecutive pieces along its first axis."""

    rows: int
    row_shape: tuple[int, ...]
    dtype: np.dtype
    pieces: Iterable[np.ndarray]


def write(path: Path | str, arrays: Mapping[str, Stream], *, aligned: bool = False) -> None:
    """Write named arrays one after the other, atomically; one piece at a time is in memory.

    Raises:
        ValueError: the pieces of an array are not what it says.
    """
    with io.atomic(path) as part, part.open("wb") as whole, zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, stream in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            if aligned:
                before = whole.tell() + LOCAL_HEADER.size + len(member.filename) + ZIP64 + FIELD.size
                member.extra = FIELD.pack(PADDING, -before % ALIGNED) + bytes(-before % ALIGNED)
            with archive.open(member, "w", force_zip64=True) as file:
                _write(file, stream)


def _write(file: IO[bytes], stream: Stream) -> None:
    shape, written = (stream.rows, *stream.row_shape), 0
    header = {"descr": npy.dtype_to_descr(stream.dtype), "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(file, header)
    for piece in stream.pieces:
        if (piece.dtype, piece.shape[1:]) != (stream.dtype, stream.row_shape):
            raise ValueError(f"a piece of {piece.dtype} {piece.shape} in {stream.dtype} {shape}")
        file.write(np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data)
        written += len(piece)
    if written != stream.rows:
        raise ValueError(f"{written} rows of {stream.rows}")


def mapped(path: Path | str, names: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed npz as memory maps, of which only what is looked at is read.

    Raises:
        MissingArtefact: the file is absent or damaged, its arrays are compressed, or it lacks one of those named.
    """
    path, found = io.require(path), {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{member.filename} is compressed")
                file.seek(member.header_offset)
                file.seek(sum(LOCAL_HEADER.unpack(file.read(LOCAL_HEADER.size))), 1)
                found[member.filename.removesuffix(".npy")] = _mapped(path, file)
    except (zipfile.BadZipFile, struct.error, OSError, ValueError, EOFError) as error:
        raise MissingArtefact(f"{path}: not a whole npz file ({error}); delete it and rerun") from error
    if missing := [name for name in names if name not in found]:
        raise MissingArtefact(f"{path}: has no array {', '.join(missing)}; delete it and rerun")
    return found


def read(path: Path | str, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an npz, of a large one as memory maps; all of them, or at least those that are named.

    Raises:
        MissingArtefact: the file is absent or damaged, or lacks one of those named.
    """
    large = io.require(path).stat().st_size > LARGE
    return mapped(path, names or ()) if large else io.read_npz(path, names)


class Chosen:
    """Some rows of an array that is a map of a file: as that array, read when they are asked for."""

    def __init__(self, array: np.ndarray, rows: np.ndarray) -> None:
        self.array, self.rows, self.dtype = array, rows, array.dtype
        self.shape = (len(rows), *array.shape[1:])
        self.nbytes = math.prod(self.shape) * array.dtype.itemsize
        self._mmap = getattr(array, "_mmap", None)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self.array[self.rows[rows]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array[self.rows], dtype)


def chosen(array: Any, rows: slice | np.ndarray) -> Any:
    """Rows of an array: those of a map stay in the file."""
    return array[rows] if isinstance(rows, slice) or not isinstance(array, np.memmap) else Chosen(array, rows)


def release(array: np.ndarray) -> None:
    """Let go of what was read of the file that an array is a map of: it would count as this process's memory."""
    if (opened := getattr(array, "_mmap", None)) is not None:
        opened.madvise(mmap.MADV_DONTNEED)


def blocks(array: np.ndarray, rows: int | None = None) -> Iterator[np.ndarray]:
    """Consecutive rows of an array, which may be a map of a file: copies of so many rows each, or of `PASS` bytes."""
    rows = rows or max(1, PASS // max(1, array[:1].nbytes))
    for begin in range(0, len(array), rows):
        yield np.array(array[begin : begin + rows])
        release(array)


def _mapped(path: Path, file: IO[bytes]) -> np.ndarray:
    npy.read_magic(file)
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if 0 in shape:  # which no map can be
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", file.tell(), shape, "F" if fortran else "C")
