"""Atoms of a PDB file, by the columns of its records, as tolerant as files that people have require.

Columns: wwPDB format 3.3, https://www.wwpdb.org/documentation/file-format-content/format33/sect9.html; a record may end
after the coordinates. Chains without a letter are named by CHARMM's segment in columns 73 to 76.
"""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from reedbench.domains.peptide import FARTHEST
from reedbench.domains.residue_names import FORCE_FIELDS, STANDARD

Place = tuple[float, float, float]
ATOM, HETATM = "ATOM  ", "HETATM"
LINES = re.compile(r"\r\n|\r|\n")
RESOLUTION = re.compile(r"REMARK   2 RESOLUTION\.\s+(\S+) ANGSTROM")


class BadStructure(Exception):
    """A file holds no structure that could be read; the message says why and where in it, and not which file."""


class Atom(NamedTuple):
    """One atom.

    Attributes:
        chain: its letter, or longer name; empty if there is none.
        segment: CHARMM's name of the segment, or empty.
        part: changes where the file says that a chain ends; parts of one chain have the same number.
        number: of the residue, None where the file has none.
        code: insertion code, or empty; for a `number` of None the text that stands in its place.
        residue: name of the residue.
        name: of the atom.
        location: letter of the alternative location, or empty.
        occupancy: 1 where the file says nothing.
        free: the file marks it as no part of a polymer, or as a modified residue (HETATM).
        place: Angstrom.
    """

    chain: str
    segment: str
    part: int | str
    number: int | None
    code: str
    residue: str
    name: str
    location: str
    occupancy: float
    free: bool
    place: Place


class Records(NamedTuple):
    """What a file holds: atoms of its first model that has any, in the order of the file.

    `further` is whether models follow, which are not read. `resolution` is in Angstrom, None where the file says none.
    """

    atoms: list[Atom]
    further: bool
    resolution: float | None


def read(text: str) -> Records:
    """The first model of a PDB file.

    TER ends a chain. What follows END without a MODEL is a further model, but for chains that were not there before.

    Raises:
        BadStructure: it has no atom, or a line of one cannot be read.
    """
    atoms: list[Atom] = []
    part, model_ended, further, lines = 0, False, False, LINES.split(text)
    before: set[tuple[str, str]] | None = None  # chains before END
    for number, line in enumerate(lines, 1):
        record = line[:6].ljust(6)
        if record in (ATOM, HETATM):
            if model_ended:
                further = True
                break
            atom = _atom(line, number, part)
            if before is None or (atom.chain, atom.segment) not in before:
                atoms.append(atom)
            else:
                further = True
        elif record.startswith("TER"):
            part += 1
        elif record == "MODEL " or record == "ENDMDL":
            model_ended = bool(atoms)
        elif record == "END   " and atoms and before is None:
            part, before = part + 1, {(atom.chain, atom.segment) for atom in atoms}
    if not atoms:
        raise BadStructure("holds no atoms")
    return Records(atoms, further, resolution(lines))


def resolution(lines: Iterable[str]) -> float | None:
    """Of the experiment, in Angstrom; None where the file gives none."""
    found = (positive(match[1]) for line in lines if (match := RESOLUTION.match(line)))
    return next((number for number in found if number is not None), None)


def positive(text: str) -> float | None:
    """A number above 0; experiments without a resolution write 0, ?, or NULL."""
    return float(text) if re.fullmatch(r"\d+(\.\d*)?", text) and float(text) > 0 else None


def finite(texts: tuple[str, str, str], where: str) -> Place:
    """Three coordinates.

    Raises:
        BadStructure: one is no number, or none that an atom can have.
    """
    try:
        place = (float(texts[0]), float(texts[1]), float(texts[2]))
    except ValueError:
        raise BadStructure(f"{where}: coordinates are no three numbers: {' '.join(texts).strip()!r}") from None
    if not all(map(math.isfinite, place)):
        raise BadStructure(f"{where}: a coordinate of an atom is not a finite number; leave the atom out")
    if max(map(abs, place)) > FARTHEST:
        raise BadStructure(f"{where}: an atom is beyond {FARTHEST:g} Angstrom; correct it, or leave the atom out")
    return place


def occupancy(text: str) -> float:
    """The share of molecules that have the atom there; 1 where nothing readable stands."""
    try:
        share = float(text)
    except ValueError:
        return 1.0
    return share if math.isfinite(share) else 1.0


def _atom(line: str, line_number: int, part: int) -> Atom:
    place = finite((line[30:38], line[38:46], line[46:54]), f"line {line_number}")
    digits, code = line[22:26].strip(), line[26:27].strip()
    residue, chain = line[17:21].strip(), line[21:22]
    if len(residue) == 4 and residue[:3] in STANDARD and residue not in FORCE_FIELDS:  # a chain of two letters
        residue, chain = residue[:3], residue[3] + chain
    whole = re.fullmatch(r"-?\d+", digits, re.ASCII) is not None
    return Atom(
        chain=chain.strip(),
        segment=line[72:76].strip(),
        part=part,
        number=int(digits) if whole else None,
        code=code if whole else digits + code,  # ****, or hexadecimal beyond 9999: the same for the same residue
        residue=residue,
        name=line[12:16].strip(),
        location=line[16:17].strip(),
        occupancy=occupancy(line[54:60]),
        free=line.startswith(HETATM),
        place=place,
    )
