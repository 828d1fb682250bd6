"""Sources of molecules: a numbered list of records, any of which can be read again."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

NO_BONDS = "bonds not determined"
ROW = 100  # bytes of a row beside its atoms
ATOM = 24  # bytes of an atom with its share of bonds and letters


class BadRecord(Exception):
    """A record cannot be read; says what is wrong with it. Sources yield it in the record's stead."""


class Unfit(BadRecord):
    """A record of which no row can be made, and which is counted by this reason, as those that a filter leaves out."""


@dataclass(frozen=True)
class Record:
    """One conformer as its source has it; `Molecule.of` says what its arrays may be.

    Attributes:
        coordinates: (atoms, 3), Angstrom, wherever the source put it.
        elements: (atoms,) atomic numbers.
        charges: (atoms,) formal charges, all 0 if the source has none.
        bonds: (bonds, 3): two atoms, from 0, and the order.
        molecule: what tells conformers of one molecule from those of others, where the source says it: a number, which
            the row keeps, or a text; else it is the SMILES.
        split: where the source says it.
        title: as the source calls it.
        properties: a number for each of the source's.
    """

    coordinates: Any
    elements: Any
    charges: Any = None
    bonds: Any = ()
    molecule: int | str | None = None
    split: str = ""
    title: str = ""
    properties: Mapping[str, float] = field(default_factory=dict)


class Source(ABC):
    """Records by number; any of them can be read again.

    Attributes:
        facts: where they come from, for the index.
        units: of its properties, by name: columns of the manifest.
        titled: whether its records have titles: a column too.
    """

    facts: Mapping[str, Any]
    units: Mapping[str, str] = {}
    titled: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, number: int) -> str:
        """Id of the row that a record becomes."""

    @abstractmethod
    def where(self, number: int) -> str:
        """Names a record in messages: its file and place."""

    @abstractmethod
    def sizes(self) -> np.ndarray:
        """(n,): bytes of each row, about; see `row_bytes`."""

    @abstractmethod
    def read(self, part: slice) -> Iterator[Record | BadRecord]:
        """Consecutive records."""


def row_bytes(atoms: np.ndarray) -> np.ndarray:
    """What rows of so many atoms take, about."""
    return ROW + ATOM * np.asarray(atoms, np.int64)
