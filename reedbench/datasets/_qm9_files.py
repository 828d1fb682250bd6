"""QM9 as its authors publish it, and as DeepChem does; and the two splits that generation of molecules uses.

Files: figshare's `dsgdb9nsd.xyz.tar.bz2` and `uncharacterized.txt` (Ramakrishnan et al. 2014,
https://doi.org/10.1038/sdata.2014.22), and `gdb9.sdf` with `gdb9.sdf.csv` (DeepChem's gdb9.tar.gz), which has bonds.
"""

import math
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from reedbench.core import io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecule_sources, _properties, _sdf, _tables
from reedbench.datasets._molecule_sources import BadRecord, Record, Source
from reedbench.domains.molecule import NUMBERS
from reedbench.domains.rows import TEST, TRAIN, VALID

MOLECULES = 133_885
UNCHARACTERISED = 3_054  # of which the relaxed geometry has other bonds than were asked for
TRAINING = 100_000
HEADER: Final = 9  # lines of uncharacterized.txt
PROPERTIES: Final = ("A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv")
COLUMNS: Final = {name: name for name in PROPERTIES} | {"U0": "u0", "U": "u298", "H": "h298", "G": "g298", "Cv": "cv"}
FREQUENCY: Final = "omega1"
MEMBER: Final = re.compile(r"(?:.*/)?dsgdb9nsd_(\d{6})\.xyz")
TYPICAL: Final = 18  # atoms
EXCLUDED = ""  # instead of a split


def edm_split(excluded: Sequence[int]) -> list[str]:
    """The split of every molecule, `EXCLUDED` for those that are in none; `excluded` are indices from 0.

    E(n) diffusion qm9/data/prepare/qm9.py @fce07d7: a permutation by numpy's old generator with seed 0 of those that
    are included: 100,000 to train on, at its end a tenth, rounded down, to test with, and in between valid ones.
    """
    included = np.setdiff1d(np.arange(MOLECULES), np.asarray(excluded, np.int64))
    order = np.random.RandomState(0).permutation(len(included))
    test = len(included) // 10
    found = np.full(MOLECULES, EXCLUDED, object)
    found[included[order[:TRAINING]]] = TRAIN
    found[included[order[TRAINING : len(included) - test]]] = VALID
    found[included[order[len(included) - test :]]] = TEST
    return list(found)


def midi_split(excluded: Sequence[int]) -> list[str]:
    """As `edm_split`, after MiDi, which SemlaFlow and REED follow: excluded molecules are dropped after the split.

    MiDi midi/datasets/qm9_dataset.py: `sample(frac=1, random_state=42)` of pandas, which is numpy's permutation; then
    100,000 to train on, at its end a tenth, rounded down, to test with, and in between valid ones.
    """
    order = np.random.RandomState(42).permutation(MOLECULES)
    test = MOLECULES // 10
    found = np.full(MOLECULES, TRAIN, object)
    found[order[TRAINING : MOLECULES - test]] = VALID
    found[order[MOLECULES - test :]] = TEST
    found[np.asarray(excluded, np.int64)] = EXCLUDED
    return list(found)


SPLITS: Final = {"edm": edm_split, "midi": midi_split}


def uncharacterised(file: Path) -> list[int]:
    """Indices, from 0, of molecules that are to be left out.

    Raises:
        ConfigError: the file lists another number of them.
    """
    lines = (line.split() for line in _tables.text(file).split("\n")[HEADER:])
    found = sorted({int(words[0]) - 1 for words in lines if len(words) > 1 and words[0].isdecimal()})
    if len(found) != UNCHARACTERISED or not 0 <= found[0] <= found[-1] < MOLECULES:
        raise ConfigError(
            f"{file}: lists {len(found)} molecules after its {HEADER} first lines, and QM9 has {UNCHARACTERISED} that "
            "are not characterised; get it again (figshare, file 3195404)"
        )
    return found


class _Qm9(Source):
    """The molecules that are in a split, in the order of GDB."""

    def __init__(self, file: Path, splits: Sequence[str], wanted: Sequence[str] | None, there: Sequence[str]) -> None:
        self.file, self.splits = file, splits
        self.included = [index for index, split in enumerate(splits) if split != EXCLUDED]
        self.names = _properties.chosen("property", wanted, there)
        self.units = _properties.units(self.names)
        self.facts = {"source": file.name, "sha256": io.sha256(file), "records": len(self.included)}

    def __len__(self) -> int:
        return len(self.included)

    def name(self, number: int) -> str:
        """By GDB's number, from 1."""
        return f"gdb_{self.included[number] + 1}"

    def record(self, index: int, bare: Record, values: Sequence[float]) -> Record:
        """With its number, split and properties."""
        told = dict(zip(self.names, values, strict=True))
        return replace(bare, molecule=index + 1, split=self.splits[index], properties=told)


class Xyz(_Qm9):
    """`dsgdb9nsd.xyz.tar.bz2`, which is unpacked as it is read, once if parts are asked for in their order."""

    def __init__(self, file: Path, splits: Sequence[str], wanted: Sequence[str] | None) -> None:
        super().__init__(file, splits, wanted, (*PROPERTIES, FREQUENCY))
        self._members: Iterator[tuple[int, bytes]] = iter(())
        self._next = MOLECULES  # the first that is still to come

    def where(self, number: int) -> str:
        """The file in the archive."""
        return f"{self.file}: dsgdb9nsd_{self.included[number] + 1:06d}.xyz"

    def sizes(self) -> np.ndarray:
        """As of a typical one."""
        return np.full(len(self), _molecule_sources.row_bytes(np.array(TYPICAL)))

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some molecules."""
        for index in self.included[part]:
            if index < self._next:
                self._members = self._read()
            self._next = index + 1
            text = next((raw for found, raw in self._members if found == index), None)
            if text is None:
                raise ConfigError(f"{self.file}: ends before molecule {index + 1} of {MOLECULES}; get it again")
            try:
                yield self._parsed(index, text.decode("ascii", "replace"))
            except ValueError as error:
                yield BadRecord(f"is no molecule of QM9: {error}")

    def _read(self) -> Iterator[tuple[int, bytes]]:
        """Index and content of all molecules.

        Raises:
            ConfigError: the archive is damaged, or in another order.
        """
        count = 0
        try:
            with tarfile.open(self.file, "r|*") as archive:
                for member in archive:
                    if (named := MEMBER.fullmatch(member.name)) and (opened := archive.extractfile(member)):
                        if int(named[1]) != count + 1:
                            raise ConfigError(f"{self.file}: {member.name} is in place {count + 1}; get it again")
                        yield count, opened.read()
                        count += 1
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{self.file}: damaged or cut short ({error}); get it again") from error

    def _parsed(self, index: int, text: str) -> Record:
        """Lines of a file: number of atoms; properties; an atom each; frequencies; SMILES; InChI."""
        lines = text.replace("*^", "e").splitlines()
        atoms = int(lines[0]) if lines else 0
        if len(lines) < atoms + 3:
            raise ValueError(f"{len(lines)} lines for {atoms} atoms")
        values = [_finite(word) for word in lines[1].split()[2:]]
        rows = [line.split() for line in lines[2 : 2 + atoms]]
        if len(values) != len(PROPERTIES) or any(len(row) != 5 or row[0] not in NUMBERS for row in rows):
            raise ValueError(f"{len(values)} properties, or an atom that is no element with four numbers")
        values.append(max(map(_finite, lines[2 + atoms].split()), default=0.0))
        told = dict(zip((*PROPERTIES, FREQUENCY), values, strict=True))
        places = np.array([[_finite(word) for word in row[1:4]] for row in rows]).reshape(-1, 3)
        elements = [NUMBERS[row[0]] for row in rows]
        return self.record(index, Record(places, elements), [told[name] for name in self.names])


class WithBonds(_Qm9):
    """`gdb9.sdf` and `gdb9.sdf.csv`."""

    def __init__(self, file: Path, table: Path, splits: Sequence[str], wanted: Sequence[str] | None) -> None:
        super().__init__(file, splits, wanted, PROPERTIES)
        self.records = _sdf.Records(file)
        if len(self.records) != MOLECULES:
            raise ConfigError(f"{file}: holds {len(self.records)} molecules, and QM9 has {MOLECULES}; get it again")
        self.facts = {**self.facts, "properties_from": table.name, "properties_sha256": io.sha256(table)}
        columns = [COLUMNS[name] for name in self.names]
        found = list(_tables.rows(table, ["mol_id", *columns]))
        if len(found) != MOLECULES:
            raise ConfigError(f"{table}: has {len(found)} rows, and QM9 has {MOLECULES} molecules; get it again")
        self.titles = [row["mol_id"] for _, row in found]
        self.values = np.array([[_number(where, row[column]) for column in columns] for where, row in found])

    def where(self, number: int) -> str:
        """Number and line."""
        return self.records.where(self.included[number])

    def sizes(self) -> np.ndarray:
        """As of a typical one."""
        return np.full(len(self), _molecule_sources.row_bytes(np.array(TYPICAL)))

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some molecules; those between them that are in no split are read too."""
        chosen = self.included[part]
        wanted, first = set(chosen), chosen[0] if chosen else 0
        for index, found in enumerate(self.records.read(slice(first, chosen[-1] + 1 if chosen else 0)), first):
            if index not in wanted:
                continue
            if isinstance(found, BadRecord):
                yield found
            elif found.title != self.titles[index]:
                yield BadRecord(f"is '{found.title}', and row {index + 1} of the table is '{self.titles[index]}'")
            else:
                bare = Record(found.coordinates, found.elements, found.charges, found.bonds)
                yield self.record(index, bare, self.values[index].tolist())


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is no finite number")
    return number


def _number(where: str, cell: str) -> float:
    try:
        return _finite(cell)
    except ValueError as error:
        raise ConfigError(f"{where}: '{cell}' is no number") from error
