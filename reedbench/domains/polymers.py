"""Chains of amino acids among the atoms of a structure file: residues, their letters, and what is missing between them.

The order is that of the file. Nothing is left out without being counted.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reedbench.domains import residue_names
from reedbench.domains.pdb_records import Atom
from reedbench.domains.peptide import ALPHA, CARBON, LONGEST_BOND, NITROGEN
from reedbench.domains.protein import ATOMS
from reedbench.domains.residue_names import X

LONGEST_STEP = 4.5  # Angstrom between CA of neighbours (3.8), asked where C or N is missing
AS_THEY_ARE = ("MSE", "UNK")  # M for every parser; and X, which says so itself
SAME_PLACE = 1.5  # Angstrom between CA, below which two residues of one number are one, written twice


@dataclass
class Counts:
    """What was changed, or left out, on the way from atoms to chains; all numbers are of residues but where said.

    `modified` and `unknown` are by name: residues that have the letter of their parent (or X), and amino acids whose
    name nobody knows (X). `free` are single amino acids that no chain holds, `others` what is none: water, ligands,
    nucleic acids, caps. `repeated` have the number and the place of a residue before. `choices` have alternative
    locations. `filled` are X for residues missing in a gap; in chains (a number of chains) with `open_gaps` none is.
    `no_protein` are chains of something else.
    """

    modified: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    free: int = 0
    others: int = 0
    repeated: int = 0
    choices: int = 0
    filled: int = 0
    open_gaps: int = 0
    no_protein: int = 0

    def add(self, other: "Counts") -> None:
        """Sum up over files."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Polymer(NamedTuple):
    """One chain.

    Attributes:
        name: unlike that of every other chain of the file.
        letter: how the file calls it; several chains may be called the same.
        sequence: (length) letters, X among them.
        coordinates: (length, 4, 3) float32, N, CA, C, O in Angstrom, NaN where an atom is missing.
    """

    name: str
    letter: str
    sequence: str
    coordinates: np.ndarray


class Residue(NamedTuple):
    """One amino acid in one location; `backbone` is (4, 3) float64."""

    number: int | None
    code: str
    letter: str
    free: bool
    backbone: np.ndarray


def chains(atoms: Sequence[Atom], longest: int, modified: str = "parent") -> tuple[list[Polymer], Counts]:
    """The chains of amino acids in a model.

    Args:
        atoms: in the order of the file.
        longest: residues in a chain, beyond which gaps are not filled: what a numbering jumps over never makes a chain
            too long.
        modified: `parent` or `x`, the letter of residues such as SEP; selenomethionine is always M.
    """
    counts = Counts()
    strands: list[tuple[Atom, list[Residue]]] = []
    for raw in _strands(atoms, counts):
        settled = [found for residue in raw if (found := _settled(residue, modified, counts))]
        strands += [(raw[0].first, part) for part in _parts(settled, counts)]
    strands = [
        (first, kept) for first, part in _brought_home(_joined(strands)) if (kept := _without_free(part, counts))
    ]
    letters = {atom.chain or atom.segment for atom in atoms if not atom.free}
    counts.no_protein = len(letters - {first.chain or first.segment for first, _ in strands})
    names = _names([first for first, _ in strands])
    made = []
    for name, (first, part) in zip(names, strands, strict=True):
        made.append(Polymer(name, first.chain or first.segment, *_filled(part, longest, counts)))
    return made, counts


class _Raw:
    """Atoms of one residue in all locations."""

    def __init__(self, atom: Atom) -> None:
        self.first = atom
        self.names: dict[str, str] = {}  # by location
        self.atoms: dict[tuple[str, str], Atom] = {}
        self.add(atom)

    def add(self, atom: Atom) -> None:
        self.names.setdefault(atom.location, atom.residue)
        self.atoms[atom.name, atom.location] = atom

    def may_hold(self, atom: Atom) -> bool:
        """By its name; two locations may be two kinds of residue."""
        if atom.location in self.names:
            return self.names[atom.location] == atom.residue
        return bool(atom.location) or atom.residue in self.names.values()

    def has_again(self, atom: Atom) -> bool:
        """The atom is there already, or stands where the residue is not complete, so that no other can have begun."""
        there = self.atoms.get((atom.name, atom.location))
        complete = all((name, atom.location) in self.atoms for name in ATOMS[:3])
        return there is not None and (there.place == atom.place or not complete)


def _strands(atoms: Sequence[Atom], counts: Counts) -> list[list[_Raw]]:
    """Residues of every part of every chain."""
    found: dict[tuple[str, str, int | str], list[_Raw]] = {}
    latest: dict[tuple[str, str, int | str, int | None, str], _Raw] = {}
    for atom in atoms:
        strand = (atom.chain, atom.segment, atom.part)
        key = (*strand, atom.number, atom.code)
        residue = latest.get(key)
        if residue is not None and residue.may_hold(atom):
            if (atom.name, atom.location) not in residue.atoms:
                residue.add(atom)
                continue
            if residue.has_again(atom):
                counts.repeated += atom.name == ATOMS[ALPHA]
                continue
        latest[key] = _Raw(atom)
        found.setdefault(strand, []).append(latest[key])
    return list(found.values())


def _settled(raw: _Raw, modified: str, counts: Counts) -> Residue | None:
    """The residue in its likeliest location; None where it is no amino acid."""
    location = _location(raw)
    counts.choices += len(raw.names) > 1
    own = {name: atom for (name, where), atom in raw.atoms.items() if where == ""}
    own |= {name: atom for (name, where), atom in raw.atoms.items() if where == location}
    backbone = np.array([own[name].place if name in own else [np.nan] * 3 for name in ATOMS])
    name = raw.names[location]
    meaning = residue_names.meaning(name, own)
    if meaning is None:
        if not _is_backbone(backbone):
            counts.others += 1
            return None
        counts.unknown[name or "no name"] += 1
        letter = X
    else:
        letter = meaning.letter
        counts.modified[name] += meaning.modified and name not in AS_THEY_ARE
        if meaning.modified and modified == "x" and name not in AS_THEY_ARE:
            letter = X
    return Residue(raw.first.number, raw.first.code, letter, all(atom.free for atom in own.values()), backbone)


def _location(raw: _Raw) -> str:
    """The location with most of N, CA and C, then of highest occupancy, then first by its letter."""

    def rank(location: str) -> tuple[int, float, str]:
        own = {name: atom for (name, where), atom in raw.atoms.items() if where == location}
        complete = sum(name in own or (name, "") in raw.atoms for name in ATOMS[:3])
        shares = [atom.occupancy for name, atom in own.items() if name in ATOMS] or [a.occupancy for a in own.values()]
        return -complete, -float(np.mean(shares)), location

    # Atoms without a letter belong to every location; where such an atom is there with a letter too, they are one.
    twice = any((name, "") in raw.atoms for name, where in raw.atoms if where)
    return min((where for where in raw.names if where or twice), key=rank, default="")


def _is_backbone(backbone: np.ndarray) -> bool:
    """N, CA and C are there, and bonds join them."""
    lengths = np.linalg.norm(backbone[[NITROGEN, CARBON]] - backbone[ALPHA], axis=-1)
    return bool((lengths <= LONGEST_BOND).all())  # False where one is missing


def _linked(one: Residue, other: Residue) -> bool | None:
    """A peptide bond joins two residues; None where the atoms that could say so are missing."""
    bond = float(np.linalg.norm(other.backbone[NITROGEN] - one.backbone[CARBON]))
    if not np.isnan(bond):
        return bond <= LONGEST_BOND
    step = float(np.linalg.norm(other.backbone[ALPHA] - one.backbone[ALPHA]))
    return None if np.isnan(step) else step <= LONGEST_STEP


def _parts(residues: Sequence[Residue], counts: Counts) -> Iterator[list[Residue]]:
    """Cut where the numbers begin again after a gap: a further chain without a TER before it."""
    part: list[Residue] = []
    seen: dict[tuple[int | None, str], Residue] = {}
    for residue in residues:
        before = seen.get((residue.number, residue.code))
        if before is not None and np.linalg.norm(before.backbone[ALPHA] - residue.backbone[ALPHA]) < SAME_PLACE:
            counts.repeated += 1
            continue
        if before is not None and _linked(part[-1], residue) is False:
            yield part
            part, seen = [], {}
        seen[residue.number, residue.code] = residue
        part.append(residue)
    if part:
        yield part


def _joined(strands: Sequence[tuple[Atom, list[Residue]]]) -> list[tuple[Atom, list[Residue]]]:
    """Parts of a chain that a bond joins are one, in spite of a TER or another segment."""
    made: list[tuple[Atom, list[Residue]]] = []
    for first, part in strands:
        before = (i for i, (other, end) in enumerate(made) if other.chain == first.chain and _linked(end[-1], part[0]))
        if (index := next(before, None)) is None:
            made.append((first, part))
        else:
            made[index] = made[index][0], made[index][1] + part
    return made


def _brought_home(strands: Sequence[tuple[Atom, list[Residue]]]) -> list[tuple[Atom, list[Residue]]]:
    """Modified residues that some programs list behind their chain go into the gap where bonds join them."""
    made = [(first, list(part)) for first, part in strands]
    homes = [(first, part) for first, part in made if not all(residue.free for residue in part)]
    for first, part in made:
        for run in _loose(part):
            rest = [residue for residue in part if all(residue is not other for other in run)]
            for other, home in homes:
                at = _gap(rest if home is part else home, run) if other.chain == first.chain else None
                if at is not None:
                    part[:] = rest
                    home[at:at] = run
                    break
    return [(first, part) for first, part in made if part]


def _loose(part: Sequence[Residue]) -> list[list[Residue]]:
    """Runs of bonded residues, all of them free."""
    runs: list[list[Residue]] = []
    for i, residue in enumerate(part):
        if i and _linked(part[i - 1], residue):
            runs[-1].append(residue)
        else:
            runs.append([residue])
    return [run for run in runs if all(residue.free for residue in run)]


def _gap(home: Sequence[Residue], run: Sequence[Residue]) -> int | None:
    """Where a bond joins the run to one of the sides, and none joins the sides."""
    for at in range(len(home) + 1):
        before = at > 0 and _linked(home[at - 1], run[0])
        behind = at < len(home) and _linked(run[-1], home[at])
        if (before or behind) and not (0 < at < len(home) and _linked(home[at - 1], home[at])):
            return at
    return None


def _without_free(part: list[Residue], counts: Counts) -> list[Residue]:
    """Without amino acids at its ends that the file says are no part of a polymer, and that no bond joins to one."""
    start, stop = 0, len(part)
    while start < stop and part[start].free and (start + 1 == stop or not _linked(part[start], part[start + 1])):
        start += 1
    while start < stop and part[stop - 1].free and not _linked(part[stop - 2], part[stop - 1]):
        stop -= 1
    counts.free += len(part) - (stop - start)
    return part[start:stop]


def _filled(part: Sequence[Residue], longest: int, counts: Counts) -> tuple[str, np.ndarray]:
    """Letters and coordinates, with X for the numbers that a gap in space jumps over."""
    jumps = [_jump(one, other) for one, other in pairwise(part)] + [0]
    if sum(jumps) + len(part) > longest and any(jumps):
        jumps = [0] * len(part)
        counts.open_gaps += 1
    counts.filled += sum(jumps)
    rows = np.full((len(part) + sum(jumps), len(ATOMS), 3), np.nan, np.float32)
    letters, at = [X] * len(rows), 0
    for residue, jump in zip(part, jumps, strict=True):
        letters[at], rows[at] = residue.letter, residue.backbone
        at += 1 + jump
    return "".join(letters), rows


def _jump(one: Residue, other: Residue) -> int:
    if one.number is None or other.number is None or _linked(one, other):
        return 0
    return max(0, other.number - one.number - 1)


def _names(firsts: Sequence[Atom]) -> list[str]:
    """The letter; segments where chains of one letter have them; then A, A-2."""
    chosen = []
    for first in firsts:
        segments = [other.segment for other in firsts if other.chain == first.chain]
        distinct = len(segments) > 1 and all(segments) and len(set(segments)) == len(segments)
        chosen.append(first.segment if distinct or not first.chain else first.chain)
    names: list[str] = []
    for name in ("_".join(name.split()) for name in chosen):
        number = 2
        unique = name
        while unique in names:
            unique, number = f"{name}-{number}", number + 1
        names.append(unique)
    return names
