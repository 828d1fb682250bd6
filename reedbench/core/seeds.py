"""Named streams of randomness: every random number is a function of what it is for, never of call order.

A stream is named by its purpose and what it may depend on: dataset, seed, step or sample, and never the benchmark, the
method or the rank. So all methods see the same data order, noise and times, benchmarks on one dataset can be paired,
and a rank draws its own rows alone.

All numbers come from counters (Philox, Salmon et al. 2011, https://doi.org/10.1145/2063384.2063405) under 128-bit keys:
the seed of torch's generator on the CPU has 32 bits that count, and among 50,000 of them some are equal.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Lengths = Sequence[int] | np.ndarray


def of(name: str, *parts: str | int) -> int:
    """A 63-bit seed for the stream `name` and its coordinates; the same on every machine and in every version."""
    return int.from_bytes(_digest(name, *parts)[:8], "big") >> 1


def stream(name: str, *parts: str | int) -> "np.random.Generator":
    """Numbers for the stream, one after the other."""
    return _generator(_key(name, *parts), 0)


def rows(rows: Iterable[int], name: str, *parts: str | int) -> "RowStreams":
    """One stream per row: what a row gets depends on its number and on no other row that is asked for with it."""
    return RowStreams(_key(name, *parts), [int(row) for row in rows])


class RowStreams:
    """A stream for each row of a batch; every draw takes the next numbers of all of them.

    One generator visits the rows: to make one for each took longer than most draws.
    """

    def __init__(self, key: "np.ndarray", rows: Sequence[int]) -> None:
        self._visitor = _generator(key, 0)
        begun: dict[str, Any] = dict(self._visitor.bit_generator.state)
        self._states = [begun | {"state": begun["state"] | {"counter": _counter(row)}} for row in rows]

    def normal(
        self, *shape: int, dtype: str = "float32", lengths: "Lengths | None" = None, axes: int = 1
    ) -> "np.ndarray":
        """Standard normal numbers (rows, *shape).

        Args:
            shape: of a row.
            dtype: `float32` or `float64`.
            lengths: entries along its first axis that each row takes; the others are 0. So padding changes nothing.
            axes: how many axes have these lengths; 2 for the pairs of a row's entries.
        """
        return self._filled(shape, dtype, lengths, axes, lambda one, out: one.standard_normal(out=out, dtype=dtype))

    def uniform(self, *shape: int, lengths: "Lengths | None" = None, axes: int = 1) -> "np.ndarray":
        """Numbers of U[0, 1), float32 (rows, *shape); arguments as in `normal`."""
        return self._filled(shape, "float32", lengths, axes, lambda one, out: one.random(out=out, dtype="float32"))

    def gamma(self, shapes: "np.ndarray", lengths: "Lengths | None" = None, axes: int = 1) -> "np.ndarray":
        """Numbers of gamma laws of scale 1, float64, given their shapes (rows, ...); arguments as in `normal`."""
        import numpy as np

        out = np.zeros(shapes.shape)
        for i, one in enumerate(self._each()):
            entries = _entries(i, lengths, axes)
            out[entries] = one.standard_gamma(shapes[entries])
        return out

    def seeds(self) -> "np.ndarray":
        """One whole number of 62 bits per row, int64."""
        import numpy as np

        return np.array([one.integers(2**62) for one in self._each()], np.int64)

    def _filled(
        self,
        shape: tuple[int, ...],
        dtype: str,
        lengths: "Lengths | None",
        axes: int,
        fill: Callable[[Any, Any], Any],
    ) -> "np.ndarray":
        import numpy as np

        out = np.zeros((len(self._states), *shape), dtype)
        for i, one in enumerate(self._each()):
            entries = out[_entries(i, lengths, axes)]
            drawn = np.ascontiguousarray(entries)  # the entries themselves, but for pairs of a part of the row
            fill(one, drawn)
            if drawn is not entries:
                entries[...] = drawn
        return out

    def _each(self) -> "Iterator[np.random.Generator]":
        """The generator at the place of every row, which it leaves where the next draw goes on."""
        bits = self._visitor.bit_generator
        for i, state in enumerate(self._states):
            bits.state = state
            yield self._visitor
            self._states[i] = dict(bits.state)


def _entries(row: int, lengths: "Lengths | None", axes: int) -> tuple[slice, ...]:
    """Those that a row takes."""
    return (slice(row, row + 1), *([] if lengths is None else [slice(int(lengths[row]))] * axes))


def _digest(name: str, *parts: str | int) -> bytes:
    return hashlib.sha256("/".join([name, *map(str, parts)]).encode()).digest()


def _key(name: str, *parts: str | int) -> "np.ndarray":
    """The 128-bit key of a stream."""
    import numpy as np

    return np.frombuffer(_digest(name, *parts)[:16], "<u8")


def _generator(key: "np.ndarray", row: int) -> "np.random.Generator":
    """The stream of a row."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=key, counter=_counter(row)))


def _counter(row: int) -> "np.ndarray":
    """Where the stream of a row begins: it has 2^128 blocks of counters of its own."""
    import numpy as np

    return np.array([0, 0, row, 0], np.uint64)
