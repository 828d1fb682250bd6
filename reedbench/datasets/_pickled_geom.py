"""MiDi's pickles of GEOM-Drugs: converted to safe arrays in a process apart, and read from these."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from reedbench.core import archives, console, io, locks, parts, paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecule_sources, _pickle_converter
from reedbench.datasets._molecule_sources import BadRecord, Record, Source
from reedbench.domains.rows import TEST, TRAIN, VALID

FILES: Final = {TRAIN: "train_data.pickle", VALID: "val_data.pickle", TEST: "test_data.pickle"}
KEPT: Final = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")  # what the converter sees of the environment
CONVERTER_VERSION: Final = 1


def converted(dataset: str, files: Sequence[Path], conformers: int) -> list[Path]:
    """The arrays of each pickle, made where they are not there: one process at a time does so, and others wait.

    They lie in `work/parts/convert/<dataset>/`, where `reedbench clean` finds them.

    Raises:
        ConfigError: a pickle is damaged, holds something else, or asks for foreign code.
    """
    digest = io.digest_of([CONVERTER_VERSION, conformers, [io.sha256(file) for file in files]])
    folder = Path(paths.parts("convert", dataset, digest))
    made = [folder / f"{file.stem}.npz" for file in files]

    def waiting() -> None:
        console.say(f"{dataset}: waiting for another process that converts {files[0].parent}")

    with locks.alone(folder / "converting", waiting):
        (folder / parts.LOCK).touch()
        for file, target in zip(files, made, strict=True):
            if not target.exists():
                console.say(f"{dataset}: converting {file}")
                with io.atomic(target, in_place=True) as part:
                    _convert(file, part, conformers)
    return made


def _convert(file: Path, target: Path, conformers: int) -> None:
    """Run the converter: isolated, in an empty folder, without what the environment says of accounts and services."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-I", _pickle_converter.__file__, *map(str, (file.resolve(), target.resolve()))]
        known = {name: os.environ[name] for name in KEPT if name in os.environ}
        done = subprocess.run(
            [*command, str(conformers)],
            env={**known, "HOME": empty, "OMP_NUM_THREADS": "1"},
            cwd=empty,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        said = done.stderr.strip().split("\n")[-1] or f"the converter ended with status {done.returncode}"
        raise ConfigError(f"{file}: {said}; get it again from where you trust it to come")


class Pickled(Source):
    """Conformers of the three files, training ones first."""

    def __init__(self, dataset: str, folder: Path, conformers: int) -> None:
        self.files = {split: folder / name for split, name in FILES.items()}
        made = converted(dataset, list(self.files.values()), conformers)
        self.arrays = [archives.read(file) for file in made]
        self.splits = list(self.files)
        self.starts = np.cumsum([0, *(len(arrays["entry"]) for arrays in self.arrays)])
        self.facts = {
            "source": {split: file.name for split, file in self.files.items()},
            "sha256": {split: io.sha256(file) for split, file in self.files.items()},
            "records": len(self),
        }

    def __len__(self) -> int:
        return int(self.starts[-1])

    def name(self, number: int) -> str:
        """Split, entry from 0, and the number of a further conformer."""
        part, row = self._place(number)
        entry, conformer = (int(self.arrays[part][of][row]) for of in ("entry", "conformer"))
        return f"{self.splits[part]}-{entry:06d}" + (f":{conformer}" if conformer else "")

    def where(self, number: int) -> str:
        """File, entry and conformer."""
        part, row = self._place(number)
        entry, conformer = (int(self.arrays[part][of][row]) + 1 for of in ("entry", "conformer"))
        return f"{self.files[self.splits[part]]}: entry {entry}, conformer {conformer}"

    def sizes(self) -> np.ndarray:
        """By their atoms."""
        return np.concatenate([_molecule_sources.row_bytes(np.diff(arrays["atom_offset"])) for arrays in self.arrays])

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some conformers."""
        return (self._record(*self._place(number)) for number in range(part.start, part.stop))

    def _place(self, number: int) -> tuple[int, int]:
        """Which file, and which row of it."""
        part = int(np.searchsorted(self.starts, number, side="right")) - 1
        return part, number - int(self.starts[part])

    def _record(self, part: int, row: int) -> Record | BadRecord:
        arrays: dict[str, Any] = self.arrays[part]
        if wrong := bytes(arrays["wrong"][row]).decode("ascii"):
            return BadRecord(wrong)
        atoms, bonds = (slice(*map(int, arrays[of][row : row + 2])) for of in ("atom_offset", "bond_offset"))
        ends = np.column_stack([arrays["bond_index"][bonds], arrays["bond_order"][bonds]]).astype(np.int64)
        places, elements, charges = (np.array(arrays[of][atoms]) for of in ("position", "atomic_number", "charge"))
        return Record(places, elements, charges, ends, split=self.splits[part])
