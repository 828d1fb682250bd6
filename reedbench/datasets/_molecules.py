"""What all datasets of molecules share: records of a source, filters, splits by molecule, rows, and the counts.

A source is a numbered list of records, each a conformer; reading is in parts, so that it need not fit in memory. A
record becomes a row, or is left out: by a filter, which the index counts by reason, or because it cannot be read, which
`tolerate` limits. What a row gets depends on its own record alone, the split too: molecules are dealt out by a digest
of their canonical SMILES, so that a filter moves none and conformers stay together.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from reedbench.core import parts, seeds, shards
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged, Texts, joined
from reedbench.datasets import AbstractDataset, _molecule_counts, _remarks
from reedbench.datasets._molecule_sources import NO_BONDS, BadRecord, Record, Source, Unfit
from reedbench.domains import bond_distances, molecule, molecule_graphs
from reedbench.domains.molecule import NUMBERS, SEMLA, SYMBOLS, Molecule
from reedbench.domains.rows import TEST, TRAIN, VALID, Rows

FARTHEST = 1e4  # Angstrom
SHOWN = 20  # bad records that a message names


@dataclass(frozen=True)
class _Row:
    """A record that stays."""

    name: str
    split: str
    molecule: Molecule
    smiles: str
    number: int
    centre: np.ndarray
    record: Record


@dataclass(frozen=True)
class _Left:
    """Why a record does not stay."""

    reason: str
    bad: bool = False


class AbstractMolecules(AbstractDataset):
    """Conformers of real or made molecules, hydrogens explicit; arrays as in `domains.molecule`.

    The manifest has besides `smiles`, `molecule` (conformers of one molecule share the number) and the properties of
    the source, and the shards `centre` (n, 3) float32: the mean of the atoms where the source had them, in Angstrom.
    """

    domain: ClassVar[str] = "molecule"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"tolerate"})  # the same rows, whatever it says

    elements: tuple[str, ...] = Field(SEMLA, min_length=1)
    """Elements that are allowed; molecules with others are left out. These are SemlaFlow's."""
    max_atoms: int = Field(molecule.MOST_ATOMS, ge=1, le=molecule.MOST_ATOMS)
    """Most atoms of a molecule, hydrogens too; larger ones are left out."""
    fragments: Literal["one", "largest", "any"] = "one"
    """Of records with several fragments that no bond joins (salts, solvents): `one` leaves them out, `largest` keeps
    the one with the most atoms (of equal ones the first), `any` keeps all as one molecule."""
    graphs: Literal["complete", "sanitised", "any"] = "complete"
    """Molecules that stay: those that RDKit sanitises and finds no hydrogen missing in, those that it sanitises, or
    all; one that it does not sanitise has an empty SMILES and its bonds as they are."""
    aromatic: Literal["marked", "kekule"] = "marked"
    """Aromatic bonds, as RDKit finds them, as an order of their own, or single and double in turn."""
    tolerate: int = Field(0, ge=0)
    """Records that may be left out because they cannot be read; the index names them. One more stops the preparation.
    Filters are no reason to stop: what they leave out is counted by reason."""

    @model_validator(mode="after")
    def _elements_are_there(self) -> "AbstractMolecules":
        if strange := [name for name in self.elements if name not in NUMBERS]:
            raise ValueError(f"elements: '{strange[0]}' is no element from H to {SYMBOLS[-1]}")
        if len(set(self.elements)) < len(self.elements):
            raise ValueError("elements: one is there twice")
        return self

    @abstractmethod
    def opened(self) -> Source:
        """The source; it is asked for once.

        Raises:
            ConfigError: it is absent, damaged, or not what it should be.
        """

    @abstractmethod
    def split_of(self, record: Record, key: str) -> str:
        """The split of a record: train, valid or test; `key` is what tells its molecule from others."""

    @abstractmethod
    def wanted(self) -> tuple[str, ...]:
        """Splits that must not be empty."""

    def bonded(self, found: Molecule) -> Molecule | None:
        """A molecule of the source with its bonds; None if they are none that fit."""
        return found

    @cached_property
    def source(self) -> Source:
        """The source."""
        with self._named():
            return self.opened()

    def declared(self) -> dict[str, Any]:
        """Shapes of what all data sets of molecules have; how many there are the source tells."""
        own = {name: [-1, *empty.shape[1:]] for name, empty in _EMPTY.items()}
        return {"shapes": {**own, "smiles": [-1], "molecule": [], "centre": [3]}}

    def rows(self) -> Rows:
        """All parts at once.

        Raises:
            ConfigError: as `parts` and `measured`.
        """
        made = [part() for part in self.parts()]
        arrays = {name: joined([part.arrays[name] for part in made]) for name in made[0].arrays}
        ids, split = ([name for part in made for name in getattr(part, of)] for of in ("ids", "split"))
        self._check_splits(split, ids)
        return Rows(ids, split, arrays)

    def parts(self) -> Sequence[Callable[[], Rows]]:
        """Records in the order of the source, without those that are left out.

        Raises:
            ConfigError: as `opened`; when a part is made: more records than tolerated cannot be read; they are named.
        """
        return [partial(self._part, cut) for cut in self._cuts]

    def facts(self) -> dict[str, Any]:
        """Source, and what its properties mean."""
        return {**self.source.facts, **({"properties": dict(self.source.units)} if self.source.units else {})}

    def measured(self, rows: Rows) -> dict[str, Any]:
        """Sizes, elements, spread of coordinates (see `_molecule_counts`), and what was left out, by reason.

        Raises:
            ConfigError: a split is empty, or more records than tolerated cannot be read; they are named.
        """
        self._check_splits(rows.split, rows.ids)
        counted = {**_molecule_counts.measured(rows), "left_out": self._left_out(rows.ids)}
        bad = {self.source.where(i): left.reason for i, left in sorted(self._left.items()) if left.bad}
        return {**counted, "bad": bad} if bad else counted

    def remarks(self) -> list[str]:
        """What was left out, as far as this process knows it."""
        return _remarks.noticed({"left_out": _counted(self._left)}, ["left_out"])

    @cached_property
    def _cuts(self) -> list[slice]:
        """Records of every part."""
        return parts.cuts(self.source.sizes().tolist(), most=shards.ROWS_PER_SHARD)

    @cached_property
    def _left(self) -> dict[int, _Left]:
        """Records that this process has left out."""
        return {}

    @cached_property
    def _allowed(self) -> np.ndarray:
        """(256,) bool by atomic number."""
        return np.isin(np.arange(256), [NUMBERS[name] for name in self.elements])

    def _part(self, cut: slice) -> Rows:
        kept = []
        for number, record in self._numbered(cut):
            found = self._judged(number, record)
            if isinstance(found, _Row):
                kept.append(found)
            else:
                self._left[number] = found
                self._check_bad()
        return _assembled(kept, self.source)

    def _numbered(self, cut: slice) -> Iterator[tuple[int, Record | BadRecord]]:
        with self._named():
            yield from zip(range(cut.start, cut.stop), self.source.read(cut), strict=True)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What is wrong with the source is wrong with this data set."""
        try:
            yield
        except (ConfigError, MissingArtefact) as error:
            blamed = f"dataset {self.id}: "
            raise ConfigError(blamed + str(error).removeprefix(blamed)) from error

    def _judged(self, number: int, record: Record | BadRecord) -> _Row | _Left:
        """The row that a record becomes, or why it becomes none."""
        if isinstance(record, BadRecord):
            return _Left(str(record), bad=not isinstance(record, Unfit))
        if len(record.elements) > self.max_atoms:
            return _Left("max_atoms")
        try:
            found = Molecule.of(record.coordinates, record.elements, record.charges, record.bonds)
        except ValueError as error:
            return _Left(str(error), bad=True)
        if np.abs(found.coordinates).max() > FARTHEST:
            return _Left(f"an atom is beyond {FARTHEST:g} Angstrom from the middle of the molecule", bad=True)
        if strange := sorted({SYMBOLS[element] for element in found.elements[~self._allowed[found.elements]].tolist()}):
            return _Left(f"elements ({', '.join(strange)})")
        if (bonded := self.bonded(found)) is None:
            return _Left(NO_BONDS)
        found, atoms = bonded, np.arange(len(bonded))
        if self.fragments != "any" and (pieces := molecule.fragments(found)).max():
            if self.fragments == "one":
                return _Left("fragments")
            atoms = np.flatnonzero(pieces == np.bincount(pieces).argmax())
            found = molecule.chosen(bonded, atoms)
        return self._in_graph(number, record, found, np.asarray(record.coordinates, np.float64)[atoms].mean(0))

    def _in_graph(self, number: int, record: Record, found: Molecule, centre: np.ndarray) -> _Row | _Left:
        """The row, if its graph is what `graphs` asks for."""
        graph, smiles = molecule_graphs.graph(found), ""
        if graph is None and self.graphs != "any":
            return _Left("not sanitised")
        if graph is not None:
            if self.graphs == "complete" and molecule_graphs.lacks_hydrogens(graph):
                return _Left("hydrogens missing")
            smiles = molecule_graphs.smiles(graph)
            charges, bonds = molecule_graphs.described(graph, kekule=self.aromatic == "kekule")
            found = replace(found, charges=charges, bonds=bonds)
        name = self.source.name(number)
        key = str(record.molecule) if record.molecule is not None else smiles or name
        own = record.molecule if isinstance(record.molecule, int) else seeds.of("molecule", key)
        return _Row(name, self.split_of(record, key), found, smiles, own, centre, record)

    def _left_out(self, ids: Sequence[str]) -> dict[str, int]:
        """Records that became no row, by reason; those that other processes made parts of are judged again."""
        there = set(ids)
        for cut in self._cuts if len(there) + len(self._left) < len(self.source) else ():
            told = (i for i in range(cut.start, cut.stop) if i not in self._left)
            if absent := {i for i in told if self.source.name(i) not in there}:
                for number, record in self._numbered(cut):
                    if number in absent and isinstance(found := self._judged(number, record), _Left):
                        self._left[number] = found
        self._check_bad()
        return _counted(self._left)

    def _check_bad(self) -> None:
        bad = [f"{self.source.where(i)}: {left.reason}" for i, left in sorted(self._left.items()) if left.bad]
        if len(bad) > self.tolerate:
            more = f", and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
            raise ConfigError(
                f"dataset {self.id}: {', '.join(bad[:SHOWN])}{more}; mend it, or say `tolerate: {len(bad)}` or more to "
                "leave it out, which keeps what is made already"
            )

    def _check_splits(self, splits: Sequence[str], ids: Sequence[str]) -> None:
        there = set(splits)
        if empty := [split for split in self.wanted() if split not in there]:
            left_out = self._left_out(ids)
            raise ConfigError(
                f"dataset {self.id}: no molecule in split '{empty[0]}' ({len(ids)} of {len(self.source)} records pass "
                f"the filters, left out: {left_out or 'none'}); loosen the filters, or divide the molecules differently"
            )


class AbstractDealtOut(AbstractMolecules):
    """Molecules whose source has no split: they are dealt out."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of molecules that are held out for testing, about: each is dealt out by a digest of its canonical SMILES,
    so that it is on the same side in every data set with the same shares, whatever the filters."""
    valid_share: float = Field(0.05, ge=0, lt=1)
    """Share of molecules that are held out for choices made while training."""
    split_seed: int = 0
    """Another seed deals the molecules out differently."""

    @model_validator(mode="after")
    def _something_is_left(self) -> "AbstractDealtOut":
        if self.test_share + self.valid_share >= 1:
            raise ValueError("test_share and valid_share leave nothing to train on: together they are 1 or more")
        return self

    def split_of(self, record: Record, key: str) -> str:
        """By the digest of the molecule's key."""
        drawn = seeds.of("molecule-split", self.split_seed, key) / 2**63
        if drawn < self.test_share:
            return TEST
        return VALID if drawn < self.test_share + self.valid_share else TRAIN

    def wanted(self) -> tuple[str, ...]:
        """Training, and those with a share."""
        return (TRAIN, *([VALID] if self.valid_share else []), *([TEST] if self.test_share else []))


def with_bonds(found: Molecule, how: str) -> Molecule | None:
    """The same atoms with bonds by EDM's rule (`distances`) or RDKit's (`rdkit`, None if none fit); else as it is."""
    if how == "distances":
        return replace(found, bonds=bond_distances.perceived(found.coordinates, found.elements))
    return molecule_graphs.determined(found) if how == "rdkit" else found


def _counted(left: Mapping[int, _Left]) -> dict[str, int]:
    return dict(sorted(Counter("cannot be read" if one.bad else one.reason for one in left.values()).items()))


def _assembled(kept: Sequence[_Row], source: Source) -> Rows:
    """Rows of what stays, which may be nothing."""
    arrays: dict[str, Any] = {
        name: Ragged(np.concatenate([empty, *found]), np.array([len(one) for one in found], np.int64))
        for name, empty in _EMPTY.items()
        for found in [[getattr(row.molecule, name) for row in kept]]
    }
    arrays["smiles"] = _texts([row.smiles for row in kept])
    if source.titled:
        arrays["title"] = _texts([row.record.title for row in kept])
    arrays["molecule"] = np.array([row.number for row in kept], np.int64)
    arrays["centre"] = np.array([row.centre for row in kept], np.float32).reshape(-1, 3)
    for name in source.units:
        arrays[name] = np.array([row.record.properties[name] for row in kept], np.float64)
    return Rows([row.name for row in kept], [row.split for row in kept], arrays)


def _texts(texts: Sequence[str]) -> Texts:
    raw = [np.frombuffer(text.encode(), np.uint8) for text in texts]
    return Texts(np.concatenate([np.zeros(0, np.uint8), *raw]), np.array([len(one) for one in raw], np.int64))


_EMPTY = {
    "coordinates": np.zeros((0, 3), np.float32),
    "elements": np.zeros(0, np.uint8),
    "charges": np.zeros(0, np.int8),
    "bonds": np.zeros((0, 3), np.uint8),
}
