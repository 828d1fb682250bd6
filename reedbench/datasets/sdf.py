"""Molecules in an SDF file, as programs of chemistry write them: V2000 or V3000, packed with gzip or not."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from reedbench.core import io
from reedbench.core.errors import unknown
from reedbench.datasets import _properties, _sdf
from reedbench.datasets._molecule_sources import BadRecord, Record, Source
from reedbench.datasets._molecules import AbstractDealtOut

TEXT_PER_ROW = 4  # bytes of a record for each byte of its row, about


class Sdf(AbstractDealtOut):
    """Every record with three-dimensional coordinates and its hydrogens; rows are numbered from 1, as records are.

    The manifest has the first line of each as `title`.
    """

    uncited: ClassVar[str] = "a format: whose molecules they are is said by `papers`"
    uses: Literal["sdf"] = "sdf"

    file: str
    """The .sdf or .sdf.gz file, from the working directory or $REEDBENCH_DATA."""
    molecule: str = ""
    """A tag whose value says which records are conformers of one molecule, and on one side of the split; `title` is the
    first line. If it is empty, those with the same canonical SMILES are."""
    properties: tuple[str, ...] = ()
    """Tags with numbers, which become columns."""

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (self.existing("file"),)

    def opened(self) -> Source:
        """Its records.

        Raises:
            ConfigError: it is damaged, or holds none.
        """
        return _Records(self.files()[0], self)


class _Records(Source):
    titled = True

    def __init__(self, file: Path, asked: Sdf) -> None:
        self.records, self.asked = _sdf.Records(file), asked
        self.units = dict.fromkeys(_properties.chosen("tag", None, asked.properties), _properties.UNTOLD)
        self.facts = {"source": asked.file, "sha256": io.sha256(file), "records": len(self.records)}

    def __len__(self) -> int:
        return len(self.records)

    def name(self, number: int) -> str:
        """Its number in the file."""
        return f"{number + 1:07d}"

    def where(self, number: int) -> str:
        """Number and line."""
        return self.records.where(number)

    def sizes(self) -> np.ndarray:
        """By their letters."""
        return self.records.sizes() // TEXT_PER_ROW

    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Some records."""
        for found in self.records.read(part):
            try:
                yield self._record(found) if isinstance(found, _sdf.Parsed) else found
            except BadRecord as error:
                yield error

    def _record(self, found: _sdf.Parsed) -> Record:
        tag = self.asked.molecule
        group = None if not tag else found.title if tag == "title" else self._value(found, tag)
        if group == "":
            raise BadRecord(f"has an empty {tag}, which says which records are conformers of one molecule")
        properties = {name: self._number(found, name) for name in self.units}
        return Record(
            found.coordinates,
            found.elements,
            found.charges,
            found.bonds,
            group,
            title=found.title,
            properties=properties,
        )

    def _number(self, found: _sdf.Parsed, tag: str) -> float:
        try:
            number = float(value := self._value(found, tag))
        except ValueError as error:
            raise BadRecord(f"tag {tag} is no number: '{value}'") from error
        if not math.isfinite(number):
            raise BadRecord(f"tag {tag} is {value}")
        return number

    def _value(self, found: _sdf.Parsed, tag: str) -> str:
        if tag not in found.tags:
            raise BadRecord(unknown("tag", tag, found.tags))
        return found.tags[tag]
