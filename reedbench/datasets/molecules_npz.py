"""Molecules in an .npz file without pickles: flat arrays with offsets, or EDM's padded arrays.

EDM's layout: E(n) diffusion qm9/data/prepare/process_files.py @fce07d7, as its QM9 files `train.npz`, ... have it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import model_validator

from reedbench.core import io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecule_sources, _molecules, _properties
from reedbench.datasets._molecule_sources import BadRecord, Record, Source, Unfit
from reedbench.datasets._molecules import AbstractDealtOut
from reedbench.domains.molecule import Molecule

FLAT = ("atom_offset", "atomic_number", "position")
PADDED = ("num_atoms", "charges", "positions")
BONDS = ("bond_offset", "bond_index", "bond_order")
NUMBERED = ("gdb_index", "index")  # arrays that number the molecules of GDB, from 1
PREFIX = "prop_"


class MoleculesNpz(AbstractDealtOut):
    """A file of molecules in arrays; rows are `gdb_<number>` where it has GDB's numbers, else numbered from 0."""

    uncited: ClassVar[str] = "a layout: whose molecules they are is said by `papers`"
    uses: Literal["molecules-npz"] = "molecules-npz"

    file: str
    """The file, from the working directory or $REEDBENCH_DATA. Flat, for n molecules with a atoms and b bonds:
    `atom_offset` (n + 1), `atomic_number` (a), `position` (a, 3) in Angstrom; and, as far as it has them, `charge` (a),
    `bond_offset` (n + 1), `bond_index` (b, 2) from 0 within the molecule, `bond_order` (b) 1 to 4, `bond_ok` (n; where
    it is false bonds are unknown), `gdb_index` (n), `molecule` (n; conformers of one share it) and `prop_<name>` (n).
    Or EDM's: `num_atoms` (n), `charges` (n, N), which are atomic numbers, `positions` (n, N, 3), perhaps `index` (n),
    and properties (n)."""
    bonds: Literal["file", "distances", "rdkit"] = "file"
    """Bonds of the file, by EDM's rule of distances, or derived by RDKit from the places of the atoms (molecules for
    which it finds none are left out); EDM's layout has none."""
    properties: tuple[str, ...] | None = None
    """Properties that become columns; all of the file if it is not given."""
    hartree: bool = True
    """Whether properties with the names of QM9's have its units, for the index; numbers stay as they are anyway."""

    @model_validator(mode="after")
    def _is_one_file(self) -> "MoleculesNpz":
        if not self.file:
            raise ValueError("file is empty; it names an .npz file")
        return self

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.existing("file"),)

    def opened(self) -> Source:
        """Its molecules.

        Raises:
            ConfigError: it is damaged, in another layout, has no bonds that are asked for, or lacks a property.
        """
        return _Arrays(self.files()[0], self)

    def bonded(self, found: Molecule) -> Molecule | None:
        """With bonds as `bonds` says."""
        return _molecules.with_bonds(found, self.bonds)


class _Arrays(Source):
    """A file's arrays, in memory."""

    def __init__(self, file: Path, asked: MoleculesNpz) -> None:
        self.file = file
        arrays = io.read_npz(file, cure="get it again")
        flat = all(name in arrays for name in FLAT)
        if not flat and not all(name in arrays for name in PADDED):
            raise ConfigError(
                f"{file}: has neither {', '.join(FLAT)} nor {', '.join(PADDED)} (its arrays: {', '.join(arrays)})"
            )
        self.arrays = arrays if flat else _flattened(file, arrays)
        self.rows = len(self.arrays["atom_offset"]) - 1
        self._check(asked.bonds == "file")
        self.with_bonds = asked.bonds == "file"
        there = [name.removeprefix(PREFIX) for name in self.arrays if name.startswith(PREFIX)]
        self.names = _properties.chosen("property", asked.properties, there)
        told = _properties.QM9_UNITS if asked.hartree else {}
        self.units = _properties.units(self.names, told)
        self.facts = {
            "source": asked.file,
            "sha256": io.sha256(file),
            "layout": "flat" if flat else "padded",
            "bonds_from": asked.bonds,
            "records": self.rows,
        }
        self.number = next((self.arrays[name] for name in NUMBERED if name in self.arrays), None)
        self._check_numbers()

    def __len__(self) -> int:
        return self.rows

    def name(self, number: int) -> str:
        """By GDB's number, or that of the row."""
        return f"{number:07d}" if self.number is None else f"gdb_{int(self.number[number])}"

    def where(self, number: int) -> str:
        """The row."""
        return f"{self.file}: molecule {number + 1} of {self.rows}"

    def sizes(self) -> np.ndarray:
        """By their atoms."""
        return _molecule_sources.row_bytes(np.diff(self.arrays["atom_offset"]))

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some molecules."""
        return (self._record(i) for i in range(part.start, part.stop))

    def _record(self, i: int) -> Record | BadRecord:
        atoms = _span(self.arrays["atom_offset"], i)
        bonds: Any = ()
        if self.with_bonds:
            if "bond_ok" in self.arrays and not self.arrays["bond_ok"][i]:
                return Unfit(_molecule_sources.NO_BONDS)
            own = _span(self.arrays["bond_offset"], i)
            bonds = np.column_stack([self.arrays["bond_index"][own], self.arrays["bond_order"][own]]).astype(np.int64)
        properties = {name: float(self.arrays[PREFIX + name][i]) for name in self.names}
        if strange := [name for name, value in properties.items() if not np.isfinite(value)]:
            return BadRecord(f"its property {strange[0]} is {properties[strange[0]]}")
        return Record(
            self.arrays["position"][atoms],
            self.arrays["atomic_number"][atoms],
            self.arrays["charge"][atoms] if "charge" in self.arrays else None,
            bonds,
            int(self.arrays["molecule"][i]) if "molecule" in self.arrays else None,
            properties=properties,
        )

    def _check(self, bonds: bool) -> None:
        """Refuse arrays that do not fit each other."""
        if bonds and (absent := [name for name in BONDS if name not in self.arrays]):
            raise ConfigError(
                f"{self.file}: has no {absent[0]}, and `bonds: file` takes bonds from it; say `bonds: distances` or "
                "`bonds: rdkit`"
            )
        atoms = len(self.arrays["atomic_number"])
        wanted: dict[str, tuple[int, ...]] = {"atomic_number": (atoms,), "position": (atoms, 3), "charge": (atoms,)}
        entries = {"atom_offset": atoms}
        if bonds:
            entries["bond_offset"] = joined = len(self.arrays["bond_index"])
            wanted |= {"bond_index": (joined, 2), "bond_order": (joined,)}
        for name, array in self.arrays.items():
            if name.startswith(PREFIX) or name in (*NUMBERED, "molecule", "bond_ok"):
                wanted[name] = (self.rows,)
            if name in (*wanted, *entries) and array.dtype.kind not in "biuf":
                raise ConfigError(f"{self.file}: {name} holds {array.dtype}, not numbers")
        for name, shape in wanted.items():
            if name in self.arrays and self.arrays[name].shape != shape:
                raise ConfigError(f"{self.file}: {name} is {self.arrays[name].shape}, and must be {shape}")
        for name, total in entries.items():
            starts = self.arrays[name]
            if (
                starts.shape != (self.rows + 1,)
                or starts[0] != 0
                or starts[-1] != total
                or (starts[1:] < starts[:-1]).any()
            ):
                raise ConfigError(
                    f"{self.file}: {name} must be {self.rows + 1} numbers that grow from 0 to {total}; get it again"
                )

    def _check_numbers(self) -> None:
        if self.number is not None:
            values, counts = np.unique(self.number, return_counts=True)
            if (counts > 1).any():
                raise ConfigError(
                    f"{self.file}: two molecules have the number {values[counts.argmax()]}, and rows are named by it"
                )


def _span(starts: np.ndarray, i: int) -> slice:
    return slice(int(starts[i]), int(starts[i + 1]))


def _flattened(file: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """EDM's arrays as flat ones.

    Raises:
        ConfigError: they do not fit each other.
    """
    lengths, elements, places = (arrays[name] for name in PADDED)
    rows, longest = len(lengths), elements.shape[-1]
    if lengths.ndim != 1 or elements.shape != (rows, longest) or places.shape != (rows, longest, 3):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in PADDED)
        raise ConfigError(f"{file}: {shapes} do not fit each other; they must be (n,), (n, N), (n, N, 3)")
    if rows and (lengths.min() < 0 or lengths.max() > longest):
        raise ConfigError(f"{file}: num_atoms has {int(lengths.max())}, and there is room for {longest}")
    there = np.arange(longest) < lengths[:, None]
    known = (*PADDED, *NUMBERED)
    flat = {PREFIX + name: array for name, array in arrays.items() if name not in known and array.shape == (rows,)}
    flat |= {name: arrays[name] for name in NUMBERED if name in arrays}
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return {**flat, "atom_offset": starts, "atomic_number": elements[there], "position": places[there]}
