"""Samples of a cell, or real data, under extractors, in parts that processes share and that outlive a kill.

A part is one extractor's features of some rows, cut by their bytes. All parts of an extractor are one array: in memory
where they are small, else a map of a file beside the parts, which goes with them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from reedbench.core import archives, io, shards
from reedbench.core.parts import BYTES, Parts
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode
from reedbench.metrics import Features
from reedbench.schema.runs import Benchmark
from reedbench.steps.features import Extraction, assembled, seen_by, write_features
from reedbench.steps.precision import precise

LARGE = 4 * BYTES  # bytes of an extractor's features that are not all in memory
Way = Callable[[Rows], Rows] | None  # what becomes of rows before extractors see them, if anything does
AS_THEY_ARE: Mapping[str, Way] = MappingProxyType({"": None})


class Seen:
    """What the extractors of a benchmark make of some data.

    Attributes:
        inputs: files that were read.
        sizes: rows of each part.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        data: Rows,
        device: str,
        ways: Mapping[str, Way] = AS_THEY_ARE,
        inputs: Sequence[str] = (),
    ) -> None:
        """Make ready what is needed.

        Args:
            benchmark: whose extractors look.
            data: at which they look.
            device: `cpu` or `cuda`.
            ways: by name; the data pass each of them, and then the extractors.
            inputs: files that the ways read.
        """
        self.benchmark, self.data, self.device, self.ways = benchmark, data, device, ways
        self.inputs = list(inputs)
        self._last: tuple[str, range, Rows] | None = None
        ready: dict[str, Encode] = {}
        seers: dict[str, Callable[[Rows], Features]] = {}
        for name in benchmark.scoring.extractors if ways else ():
            seers[name], read = seen_by(benchmark.suite, benchmark.dataset, name, data, device, ready)
            self.inputs += read
        self._extractions = {
            (way, name): Extraction(seen, data, partial(self._taken, way))
            for way in ways
            for name, seen in seers.items()
        }
        self._parts = [(one, number) for one, made in self._extractions.items() for number in range(len(made.parts))]
        self.sizes = [rows for made in self._extractions.values() for rows in made.rows]

    def parts(self, names: Sequence[str], of: Any) -> Parts:
        """Where they are kept; `of` is a plain value, all that decides what the data are and what becomes of them."""
        digests = {file: io.sha256(file) for file in self.inputs}
        cut = {f"{way}/{name}" if way else name: one.plain for (way, name), one in self._extractions.items()}
        keys = {name: self.benchmark.encoder_key(name) for _, name in self._extractions}
        return Parts(("evaluate", *names), [of, self.device, digests, keys, cut], len(self._parts))

    def make(self, number: int, file: Path) -> None:
        """Make one part."""
        one, own = self._parts[number]
        self._extractions[one].write(own, file)

    def _taken(self, way: str, some: range) -> Rows:
        """Some rows; the same object again for an extractor that reads one which has just seen them."""
        if self._last is None or self._last[:2] != (way, some):
            rows, through = self.data.take(some), self.ways[way]
            self.data.release()
            if through is not None:
                with precise("fp32", self.device, "codec"):
                    rows = through(rows)
            self._last = way, some, rows
        return self._last[2]

    def features(self, parts: Parts, name: str, way: str = "") -> Features:
        """All data under an extractor, once all parts are there."""
        files = [file for file, (of, _) in zip(parts.files(), self._parts, strict=True) if of == (way, name)]
        whole = parts.folder / f"{list(self.ways).index(way)}-{name}.npz"
        arrays = _mapped(files, whole) if _bytes(files) > LARGE else _read(files)
        return assembled(arrays, self.device)


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read(files: Sequence[Path]) -> dict[str, np.ndarray]:
    store = shards.Shards.of(files)
    return {name: store.read(name) for name in store.names}


def _mapped(files: Sequence[Path], whole: Path) -> dict[str, np.ndarray]:
    write_features(str(whole), files)
    return archives.mapped(whole)
