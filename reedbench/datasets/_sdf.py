"""Records of an SDF file, packed or not: found at once, read one by one, parsed by RDKit (V2000 and V3000).

Format: Dalby et al. 1992, https://doi.org/10.1021/ci00007a012, and BIOVIA's "CTfile formats": a record is a connection
table and tagged values, and ends at a line `$$$$`.
"""

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from reedbench.core.errors import ConfigError
from reedbench.datasets._molecule_sources import BadRecord
from reedbench.domains import molecule_graphs

BLOCK: Final = 1 << 22  # bytes that are searched together
END: Final = re.compile(rb"^\$\$\$\$[^\n]*\n", re.MULTILINE)
TAG: Final = re.compile(r"^>.*?<([^>]*)>.*$")
STAMP: Final = re.compile(r"^\[\d\d:\d\d:\d\d\] ")  # before what RDKit says
TETRAHEDRAL: Final = 4  # neighbours that lie in no plane


@dataclass(frozen=True)
class Parsed:
    """A record.

    Attributes:
        title: its first line.
        tags: values by name; of several lines the first.
        coordinates: (atoms, 3).
        elements: (atoms,).
        charges: (atoms,).
        bonds: two atoms and the order of each.
    """

    title: str
    tags: dict[str, str]
    coordinates: np.ndarray
    elements: list[int]
    charges: list[int]
    bonds: list[tuple[int, int, int]]


class Records:
    """The records of a file, by number.

    Attributes:
        starts: (n + 1,) where each begins, in bytes of the unpacked file, and where the last one ends.
        lines: (n,) the line at which each begins, from 1.

    Raises:
        ConfigError: the file is damaged, or holds none.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._opened: Any = None
        starts, lines = [0], [1]
        with self._whole():
            for end, line in self._ends():
                starts.append(end)
                lines.append(line)
        if len(starts) == 1:
            raise ConfigError(f"{file}: holds no record; an SDF file has at least one, with a line $$$$ at its end")
        self.starts, self.lines = np.array(starts, np.int64), np.array(lines[:-1], np.int64)

    def __len__(self) -> int:
        return len(self.lines)

    def where(self, number: int) -> str:
        """Names a record in messages."""
        return f"{self.file}: record {number + 1} (from line {self.lines[number]})"

    def sizes(self) -> np.ndarray:
        """(n,): bytes of each."""
        return np.diff(self.starts)

    def read(self, part: slice) -> Iterator[Parsed | BadRecord]:
        """Some of them, parsed; a packed file is read from its beginning unless the last part ended before this one."""
        with self._whole():
            if self._opened is None:
                self._opened = self._open()
            self._opened.seek(int(self.starts[part.start]))
        for number in range(part.start, part.stop):
            with self._whole():
                raw = self._opened.read(int(self.starts[number + 1] - self.starts[number]))
            try:
                yield parsed(raw)
            except BadRecord as error:
                yield error

    def _open(self) -> Any:
        return gzip.open(self.file, "rb") if self.file.suffix == ".gz" else self.file.open("rb")

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{self.file}: damaged or cut short ({error}); get it again") from error

    def _ends(self) -> Iterator[tuple[int, int]]:
        """Where each record ends, and the number of the line that follows; the last one may lack its `$$$$`."""
        with self._open() as file:
            rest, place, line = b"", 0, 1  # what is not yet told, and where it begins
            while block := file.read(BLOCK):
                text, told = rest + block, 0
                for found in END.finditer(text):
                    line += text.count(b"\n", told, found.end())
                    told = found.end()
                    yield place + told, line
                rest, place = text[told:], place + told
            if rest.strip():
                yield place + len(rest), line


def parsed(raw: bytes) -> Parsed:
    """One record.

    Raises:
        BadRecord: it is none, or flat.
    """
    lines = raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    end = next((i for i, line in enumerate(lines) if line.startswith("M  END")), None)
    if end is None:
        empty = not any(line.strip() and not line.startswith("$$$$") for line in lines)
        raise BadRecord("is empty" if empty else "has no line `M  END`: it is cut short, or no connection table")
    found = _table("\n".join(lines[: end + 1]) + "\n")
    if not found.GetNumAtoms():
        raise BadRecord("it has no atom")
    conformer = found.GetConformer()
    places = conformer.GetPositions()
    bonds = _bonds(found)
    neighbours = np.bincount(np.array(bonds, np.int64).reshape(-1, 3)[:, :2].ravel(), minlength=1)
    if not conformer.Is3D() or (not np.ptp(places[:, 2]) and neighbours.max() >= TETRAHEDRAL):
        raise BadRecord(
            "has coordinates in two dimensions; make three of them, with hydrogens (of a planar molecule the second "
            "line says `3D` in columns 21 and 22)"
        )
    atoms = list(found.GetAtoms())
    elements, charges = ([getattr(atom, of)() for atom in atoms] for of in ("GetAtomicNum", "GetFormalCharge"))
    return Parsed(lines[0].strip(), _tags(lines[end + 1 :]), places, elements, charges, bonds)


def _bonds(found: Any) -> list[tuple[int, int, int]]:
    try:
        return molecule_graphs.bonds(found)
    except ValueError as error:
        raise BadRecord(f"has {error}") from error


def _table(text: str) -> Any:
    """RDKit's molecule of a connection table, as it stands."""
    chem = molecule_graphs.rdkit()
    found = chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
    if found is None:
        raise BadRecord(f"RDKit cannot read it: {_complaint(text)}")
    return found


def _complaint(text: str) -> str:
    """What RDKit says of a table that it cannot read: it is silent else, and says it to no caller."""
    chem = molecule_graphs.rdkit()
    from rdkit import RDLogger, rdBase

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        rdBase.LogToPythonStderr()
        RDLogger.EnableLog("rdApp.error")  # type: ignore[attr-defined]
        try:
            chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
        finally:
            rdBase.LogToCppStreams()  # this lets it speak again, so that it is silenced afterwards
            RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    last = [line for line in said.getvalue().split("\n") if STAMP.match(line)]
    return STAMP.sub("", last[-1]).strip() if last else "it says nothing of why"


def _tags(lines: list[str]) -> dict[str, str]:
    """Values by name, of several lines the first."""
    found: dict[str, str] = {}
    for line, following in pairwise(lines):
        if tag := TAG.match(line):
            found[tag[1]] = following.strip()
    return found
