"""Rows of different lengths in one array: row i is `values[starts[i] : starts[i] + lengths[i]]`."""

from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

import numpy as np


class Ragged:
    """Rows (length, ...) that share a dtype and all axes but the first; indexed like an array of rows.

    Attributes:
        values: all rows, one after the other.
        lengths: (n,) int64, number of entries of each row.

    Raises:
        ValueError: a length is negative, or they do not add up to the number of values.
    """

    def __init__(self, values: np.ndarray, lengths: np.ndarray) -> None:
        self.values, self.lengths = values, np.asarray(lengths, np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        if (self.lengths < 0).any():
            raise ValueError(f"a row of {self.lengths.min()} entries")
        if self.starts[-1] != len(values):
            raise ValueError(f"rows of {self.starts[-1]} entries in all, and {len(values)} values")

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> Self:
        """One row per array; there must be at least one."""
        return cls(np.concatenate(list(rows)), np.array([len(row) for row in rows]))

    @property
    def dtype(self) -> np.dtype:
        """Of the values."""
        return self.values.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array of rows, -1 where they differ: (n, -1, ...)."""
        return (len(self.lengths), -1, *self.values.shape[1:])

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, rows: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, rows: slice | np.ndarray | Sequence[int]) -> Self: ...

    def __getitem__(self, rows: "int | slice | np.ndarray | Sequence[int]") -> "np.ndarray | Self":
        """One row as an array, or several as another `Ragged`."""
        if isinstance(rows, (int, np.integer)):
            i = range(len(self))[rows]
            return self.values[self.starts[i] : self.starts[i + 1]]
        chosen = np.arange(len(self))[rows]
        parts = [self.values[self.starts[i] : self.starts[i + 1]] for i in chosen]
        return type(self)(np.concatenate(parts) if parts else self.values[:0], self.lengths[chosen])

    def astype(self, dtype: type | np.dtype) -> "Ragged":
        """The same rows in another type."""
        return Ragged(self.values.astype(dtype), self.lengths)

    def padded(self, length: int, value: float = 0) -> np.ndarray:
        """(n, length, ...): every row, then `value` up to `length`.

        Raises:
            ValueError: a row is longer.
        """
        if len(self) and self.lengths.max() > length:
            raise ValueError(f"a row of {self.lengths.max()} entries does not fit into {length}")
        out = np.full((len(self), length, *self.values.shape[1:]), value, self.dtype)
        for row, full in zip(self, out, strict=True):
            full[: len(row)] = row
        return out


class Texts(Ragged):
    """Rows of bytes (uint8) that are text in UTF-8; tables show them as such. On disk they are bytes like others."""

    def strings(self) -> list[str]:
        """All rows as texts."""
        return [row.tobytes().decode("utf-8") for row in self]


def joined(arrays: Sequence[Any]) -> Any:
    """Arrays of rows, all of them `Ragged` or none, one after the other; at least one."""
    if len(arrays) == 1:
        return arrays[0]
    if isinstance(arrays[0], Ragged):
        values, lengths = zip(*((array.values, array.lengths) for array in arrays), strict=True)
        return type(arrays[0])(np.concatenate(values), np.concatenate(lengths))
    return np.concatenate(arrays)
