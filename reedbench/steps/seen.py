"""The samples of a cell under its extractors, in parts that processes share and that outlive a kill.

A part is one extractor's features of some samples, cut by their bytes. All parts of an extractor are one array: in
memory where they are small, else a map of a file beside the parts, which goes with them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reedbench.core import archives, io, provenance, shards
from reedbench.core.parts import BYTES, Parts
from reedbench.domains.rows import Rows
from reedbench.encoders import Encode
from reedbench.metrics import Features
from reedbench.schema.runs import Cell
from reedbench.steps.features import Extraction, assembled, seen_by, write_features

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
        self._last: tuple[range, Rows] | None = None
        self._extractions: dict[str, Extraction] = {}
        ready: dict[str, Encode] = {}
        for name in benchmark.scoring.extractors:
            seen, read = seen_by(benchmark.suite, benchmark.dataset, name, samples, device, ready)
            self.inputs += read
            self._extractions[name] = Extraction(seen, samples, self._taken)
        self._parts = [(name, number) for name, one in self._extractions.items() for number in range(len(one.parts))]
        self.sizes = [rows for one in self._extractions.values() for rows in one.rows]

    def parts(self, cell: Cell) -> Parts:
        """Where they are kept."""
        digests = {file: io.sha256(file) for file in self.inputs}
        keys = {name: cell.run.benchmark.encoder_key(name) for name in self._extractions}
        cut = {name: one.plain for name, one in self._extractions.items()}
        decides = [provenance.read(cell.samples)["sha256"], self.device, digests, keys, cut]
        return Parts(("evaluate", *cell.path_names), decides, len(self._parts))

    def make(self, number: int, file: Path) -> None:
        """Make one part."""
        name, own = self._parts[number]
        self._extractions[name].write(own, file)

    def _taken(self, some: range) -> Rows:
        """Some samples; the same object again for an extractor that reads one which has just seen them."""
        if self._last is None or self._last[0] != some:
            self._last = some, self.samples.take(some)
            for array in self.samples.arrays.values():
                archives.release(array)
        return self._last[1]

    def features(self, parts: Parts, name: str) -> Features:
        """All samples under an extractor, once all parts are there."""
        files = [file for file, (of, _) in zip(parts.files(), self._parts, strict=True) if of == name]
        arrays = _mapped(files, parts.folder / f"{name}.npz") if _bytes(files) > LARGE else _read(files)
        return assembled(arrays, self.device)


def _bytes(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def _read(files: Sequence[Path]) -> dict[str, np.ndarray]:
    store = shards.Shards.of(files)
    return {name: store.read(name) for name in store.names}


def _mapped(files: Sequence[Path], whole: Path) -> dict[str, np.ndarray]:
    write_features(str(whole), files)
    return archives.mapped(whole)
