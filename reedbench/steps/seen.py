"""The samples of a cell under its extractors, in parts that processes share and that outlive a kill.

A part is one extractor's features of some samples, cut by their bytes. All parts of an extractor are one array: in
memory where they are small, else a map of a file beside the parts, which goes with them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import archives, io, paths, provenance, shards
from reedbench.core.parts import BYTES, Parts, cuts
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode
from reedbench.metrics import Features
from reedbench.schema.runs import Cell
from reedbench.steps.features import passes, seen_by, write_features, write_part

LARGE = 4 * BYTES  # bytes of an extractor's features that are not all in memory


class Seen:
    """What the extractors of a benchmark make of samples.

    Attributes:
        inputs: files that were read.
        sizes: rows of each part.
    """

    def __init__(self, cell: Cell, samples: Rows, device: str) -> None:
        benchmark = cell.run.benchmark
        self.samples, self.device = samples, device
        self.inputs: list[str] = []
        self._seen: dict[str, Callable[[Rows], Features]] = {}
        self._taken: tuple[range, Rows] | None = None
        ready: dict[str, Encode] = {}
        self._cuts: list[tuple[str, slice]] = []
        self._bytes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for name in benchmark.extractors:
            self._seen[name], read = seen_by(benchmark.suite, benchmark.dataset, name, samples, device, ready)
            self.inputs += read
            in_, out = samples.sizes(), np.full(len(samples), self._of(name, range(1)).features.nbytes)
            self._bytes[name] = in_, out
            self._cuts += [(name, part) for part in cuts(np.maximum(in_, out).tolist(), BYTES, shards.ROWS_PER_SHARD)]
        self.sizes = [part.stop - part.start for _, part in self._cuts]

    def parts(self, cell: Cell) -> Parts:
        """Where they are kept."""
        benchmark, run = cell.run.benchmark, cell.run
        names = ("evaluate", benchmark.name, run.method, f"seed{run.seed}", paths.step_name(cell.step), cell.sampler)
        decides: list[Any] = [
            provenance.read(cell.samples)["sha256"],
            self.device,
            {file: io.sha256(file) for file in self.inputs},
        ]
        keys = {name: benchmark.encoder_key(name) for name in self._seen}
        return Parts(names, [*decides, keys, [[name, part.stop] for name, part in self._cuts]], len(self._cuts))

    def make(self, number: int, file: Path) -> None:
        """Make one part."""
        name, part = self._cuts[number]
        write_part(file, [self._of(name, some) for some in passes(part, *self._bytes[name])])

    def _of(self, name: str, some: range) -> Features:
        if self._taken is None or self._taken[0] != some:
            self._taken = some, self.samples.take(some)
        seen = self._seen[name](self._taken[1])  # an extractor may have just seen the rows that another one reads
        for array in self.samples.arrays.values():
            archives.release(array)
        return seen

    def features(self, parts: Parts, name: str) -> Features:
        """All samples under an extractor, once all parts are there."""
        files = [file for file, (of, _) in zip(parts.files(), self._cuts, strict=True) if of == name]
        arrays = _mapped(files, parts.folder / f"{name}.npz") if _bytes(files) > LARGE else _read(files)
        return Features(arrays["features"], arrays.get("labels"), arrays.get("predicted"), self.device)


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read(files: Sequence[Path]) -> dict[str, np.ndarray]:
    store = shards.Shards.of(files)
    return {name: store.read(name) for name in store.names}


def _mapped(files: Sequence[Path], whole: Path) -> dict[str, np.ndarray]:
    write_features(str(whole), files)
    return archives.mapped(whole)
