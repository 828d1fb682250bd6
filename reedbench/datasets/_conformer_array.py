"""EDM's conformers of GEOM-Drugs: one array of atoms, (conformer, atomic number, x, y, z), read through a memory map.

E(n) diffusion build_geom_dataset.py @fce07d7: `geom_drugs_30.npy` has the 30 conformers of lowest energy of every
molecule, and `geom_permutation.npy` orders conformers for the split: the first tenth is valid, the next one is for
testing. So conformers of one molecule are on several sides.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from reedbench.core import io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecule_sources
from reedbench.datasets._molecule_sources import BadRecord, Record, Source
from reedbench.domains.rows import TEST, TRAIN, VALID

CONFORMERS: Final = "geom_drugs_30.npy"
PERMUTATION: Final = "geom_permutation.npy"
COLUMNS: Final = 5
CHUNK: Final = 1 << 20  # atoms that are looked at together
SHARE: Final = 0.1  # of conformers in each split that is held out


def edm_split(permutation: np.ndarray) -> np.ndarray:
    """(n,) texts: the split of each conformer; shares are rounded down."""
    rows = len(permutation)
    valid = int(rows * SHARE)
    test = valid + int(rows * SHARE)
    found = np.empty(rows, object)
    for split, part in ((VALID, slice(valid)), (TEST, slice(valid, test)), (TRAIN, slice(test, rows))):
        found[permutation[part]] = split
    return found


class Conformers(Source):
    """Rows of one conformer after the other."""

    def __init__(self, folder: Path, *, reference_split: bool) -> None:
        self.file = folder / CONFORMERS
        self.atoms = _mapped(self.file)
        if self.atoms.ndim != 2 or self.atoms.shape[1] != COLUMNS or self.atoms.dtype.kind != "f":
            raise ConfigError(
                f"{self.file}: is {self.atoms.dtype} {self.atoms.shape}; it must be floats (atoms, {COLUMNS}): "
                "conformer, atomic number, x, y, z"
            )
        self.starts = _starts(self.atoms)
        self.splits = None
        self.facts = {"source": self.file.name, "sha256": io.sha256(self.file), "records": len(self)}
        if reference_split:
            order = _mapped(folder / PERMUTATION)
            if order.shape != (len(self),) or not np.array_equal(np.sort(order), np.arange(len(self))):
                raise ConfigError(
                    f"{folder / PERMUTATION}: is no permutation of the {len(self)} conformers of {CONFORMERS}; get "
                    "both from one place, or say `split: dealt`"
                )
            self.splits = edm_split(np.asarray(order))
            self.facts["permutation_sha256"] = io.sha256(folder / PERMUTATION)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def name(self, number: int) -> str:
        """Its place in the file, from 0."""
        return f"{number:07d}"

    def where(self, number: int) -> str:
        """Conformer and line of atoms."""
        return f"{self.file}: conformer {number + 1} (atoms from row {int(self.starts[number]) + 1})"

    def sizes(self) -> np.ndarray:
        """By their atoms."""
        return _molecule_sources.row_bytes(np.diff(self.starts))

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some conformers."""
        for number in range(part.start, part.stop):
            rows = np.array(self.atoms[self.starts[number] : self.starts[number + 1]])
            elements = rows[:, 1].astype(np.int64)
            if not np.array_equal(elements, rows[:, 1]):
                yield BadRecord("has an atomic number that is no whole number")
            else:
                yield Record(rows[:, 2:], elements, split="" if self.splits is None else self.splits[number])


def _mapped(file: Path) -> np.ndarray:
    try:
        found: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{file}: no whole .npy file ({error}); get it again") from error
    return found


def _starts(atoms: np.ndarray) -> np.ndarray:
    """(n + 1,) int64: where each conformer begins: where the number in the first column is another than before."""
    changes = [np.zeros(1, np.int64)]
    for begin in range(0, len(atoms), CHUNK):
        number = np.asarray(atoms[begin : begin + CHUNK + 1, 0])
        changes.append(np.flatnonzero(number[1:] != number[:-1]) + begin + 1)
    return np.concatenate([*changes, [len(atoms)]]) if len(atoms) else np.zeros(1, np.int64)
