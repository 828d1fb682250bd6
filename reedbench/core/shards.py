"""Row-wise arrays in safetensors shards, read through memory maps so that a data set need not fit in memory.

A shard folder holds `shard-00000.safetensors, ...`, each with the same named tensors; row i of the folder is row i of
their concatenation. The layout read here (8-byte header length, JSON header, raw little-endian data) is the published
safetensors format.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io
from reedbench.core.errors import MissingArtefact

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
ROWS_PER_SHARD = 16384


def write(folder: Path | str, arrays: Mapping[str, Any], rows_per_shard: int = ROWS_PER_SHARD) -> None:
    """Write arrays that share their first dimension into a fresh shard folder, atomically.

    Raises:
        ValueError: the arrays have different numbers of rows.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"arrays of one shard folder need the same number of rows, got {lengths}")
    (rows,) = set(lengths.values())
    with io.atomic_directory(folder) as part:
        for number in range(max(1, math.ceil(rows / rows_per_shard))):
            piece = slice(number * rows_per_shard, (number + 1) * rows_per_shard)
            tensors = {name: array[piece] for name, array in arrays.items()}
            io.write_tensors(part / f"shard-{number:05d}.safetensors", tensors)


class Shards:
    """Read access to a shard folder: `len`, `names`, and `read(name, rows)`.

    Raises:
        MissingArtefact: there is no shard, or one is damaged.
    """

    def __init__(self, folder: Path | str) -> None:
        files = sorted(io.require(folder).glob("shard-*.safetensors"))
        if not files:
            raise MissingArtefact(f"{folder}: holds no shard; delete the folder and rerun the step that makes it")
        self.maps = [_checked(file) for file in files]
        self.starts = np.cumsum([0] + [len(next(iter(shard.values()))) for shard in self.maps])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def names(self) -> list[str]:
        """Names of the arrays in each shard."""
        return sorted(self.maps[0])

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one row of the array `name`."""
        return tuple(self.maps[0][name].shape[1:])

    def read(self, name: str, rows: Any = None) -> np.ndarray:
        """Rows of the array `name` in the order asked for; all rows if none are named."""
        if rows is None:
            return np.concatenate([shard[name] for shard in self.maps])
        rows = np.asarray(rows)
        if len(self.maps) == 1:
            return np.asarray(self.maps[0][name][rows])
        out = np.empty((len(rows), *self.shape(name)), self.maps[0][name].dtype)
        shard_of = np.searchsorted(self.starts, rows, side="right") - 1
        for number in np.unique(shard_of):
            here = shard_of == number
            out[here] = self.maps[number][name][rows[here] - self.starts[number]]
        return out


def _checked(file: Path) -> dict[str, np.ndarray]:
    try:
        return _map(file)
    except (ValueError, KeyError, OverflowError, TypeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise MissingArtefact(f"{file}: not a whole safetensors file ({what}); delete it and rerun") from error


def _map(file: Path) -> dict[str, np.ndarray]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(stream.read(length))
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        raw = np.memmap(file, np.uint8, "r", offset=8 + length + begin, shape=(end - begin,))
        arrays[name] = raw.view(TYPES[entry["dtype"]]).reshape(entry["shape"])
    return arrays
