"""CIFAR's batches, as its authors publish them: one binary record per image, or a Python pickle.

Layouts: https://www.cs.toronto.edu/~kriz/cifar.html. A pickle can run any code, so none from outside is ever unpickled
as it stands: of the names that it asks for only those of numpy's arrays are known here, and they lead to the harmless
stand-ins below, never to numpy or to any other module.
"""

import pickle
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

CHANNELS = 3


class NotCifar(Exception):
    """A file is no batch of CIFAR; says why."""


def binary(file: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, side, side) uint8 and labels (n,) int64 of a batch in binary records: a label, then the pixels.

    Raises:
        NotCifar: the file does not hold whole records.
    """
    record = 1 + CHANNELS * side * side
    raw = np.frombuffer(file.read_bytes(), np.uint8)
    if not len(raw) or len(raw) % record:
        raise NotCifar(f"its {len(raw)} bytes are no whole number of records of {record} (a label and an image)")
    rows = raw.reshape(-1, record)
    return rows[:, 1:].reshape(-1, CHANNELS, side, side), rows[:, 0].astype(np.int64)


def pickled(file: Path, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of a batch in Python's pickle format: a dict with `data` (n, 3 * side^2) uint8 and `labels`.

    Raises:
        NotCifar: the file asks for anything but an array, or holds something else.
    """
    raw = BytesIO(file.read_bytes())
    try:
        found = _Reader(raw, encoding="bytes").load()
    except NotCifar:
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        raise NotCifar(f"cannot be read as a pickle ({type(error).__name__}: {error})") from error
    if not isinstance(found, dict):
        raise NotCifar(f"holds a {type(found).__name__}, not a dict")
    entries = {name.decode("latin1") if isinstance(name, bytes) else name: value for name, value in found.items()}
    data, labels = entries.get("data"), entries.get("labels")
    if not isinstance(data, _Array) or data.value is None or data.value.shape[1:] != (CHANNELS * side * side,):
        raise NotCifar(f"holds no array `data` with {CHANNELS * side * side} bytes a row")
    whole = isinstance(labels, list) and all(type(label) is int for label in labels)
    if not whole or len(labels) != len(data.value):
        raise NotCifar("holds no list `labels` of one whole number for each image")
    return data.value.reshape(-1, CHANNELS, side, side), np.array(labels, np.int64)


class _Type:
    """Stands in for `numpy.dtype`: bytes are all that CIFAR's arrays hold."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else str(name)

    def __setstate__(self, state: Any) -> None:
        """Byte order and the like: bytes have none."""


class _Array:
    """Stands in for `numpy.ndarray`: takes shape and bytes from the pickle."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_column, raw = state
        if not isinstance(kind, _Type) or kind.name != "u1" or not isinstance(raw, bytes) or len(shape) != 2:
            raise NotCifar("holds an array of another kind than rows of bytes (uint8)")
        self.value = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if by_column else "C")


def _empty(*_: Any) -> _Array:
    """Stands in for what makes an array before it is filled."""
    return _Array()


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """Stands in for `codecs.encode`: bytes as Python 3 writes them for Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise NotCifar(f"asks for the encoding {encoding}")
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    """A pickle reader that knows numpy's arrays by name, and nothing else."""

    known: ClassVar[dict[tuple[str, str], Callable[..., Any]]] = {
        ("numpy.core.multiarray", "_reconstruct"): _empty,
        ("numpy._core.multiarray", "_reconstruct"): _empty,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Type,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in.

        Raises:
            NotCifar: the pickle asks for something else, whatever it is.
        """
        if (module, name) not in self.known:
            raise NotCifar(f"asks for {module}.{name}, which no batch of CIFAR needs: it may run foreign code")
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Nothing lies outside.

        Raises:
            NotCifar: always.
        """
        raise NotCifar("refers to something outside of the file")


def joined(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Several batches, one after the other."""
    return np.concatenate([images for images, _ in parts]), np.concatenate([labels for _, labels in parts])
