"""What all datasets of real chains share: the record of one chain, filters, splits by cluster, rows, and the counts.

Selection follows REED's loader (REED 0a4527e protein/fmif/utils.py:166-217, 239, 374-376): native length and
resolution are limited, His tags are cut, what is left must have four residues, and clusters are never divided.
"""

import hashlib
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import io, seeds
from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged
from reedbench.datasets import AbstractDataset
from reedbench.domains import clusters as families
from reedbench.domains import peptide, protein
from reedbench.domains.rows import TEST, TRAIN, VALID, Rows
from reedbench.nn import residues

SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: no file in UTF-8 can hold it
NO_RESOLUTION = -1.0  # in the manifest, where the source gives none (NMR, models)
FARTHEST = peptide.FARTHEST
TAG = "HHHHHH"
TAG_OFFSETS = range(5)  # residues that may lie outside of a tag


@dataclass(frozen=True)
class Chain:
    """One chain as its source has it.

    Attributes:
        name: must be unique and without white space; `AbstractChains` refuses others.
        sequence: (length) letters of `residues.ALPHABET`.
        coordinates: (length, 4, 3) float32, N, CA, C, O in Angstrom, NaN where an atom is missing,
            none beyond `FARTHEST`, which `AbstractChains` refuses.
        cluster: chains of the same cluster are homologues.
        resolution: Angstrom, `NO_RESOLUTION` if unknown.
        placed_oxygens: how many `with_oxygens` has placed; the source has none of them.
    """

    name: str
    sequence: str
    coordinates: np.ndarray
    cluster: str
    resolution: float = NO_RESOLUTION
    placed_oxygens: int = 0

    def cut(self, part: slice) -> "Chain":
        """Some of its residues."""
        return replace(self, sequence=self.sequence[part], coordinates=self.coordinates[part])

    def with_oxygens(self) -> "Chain":
        """With O where it alone is missing."""
        coordinates, placed = peptide.place_oxygens(self.coordinates)
        return replace(self, coordinates=coordinates, placed_oxygens=int(placed.sum()))


@dataclass(frozen=True)
class Source:
    """What a reader found.

    Attributes:
        chains: in the order of the source, before the filters that need coordinates.
        dropped: chains that the reader itself left out, by reason.
        facts: where they come from, for the index.
    """

    chains: Sequence[Chain]
    dropped: Mapping[str, int]
    facts: Mapping[str, Any]


class AbstractChains(AbstractDataset):
    """Single chains of real proteins.

    The manifest has these columns: `cluster` (the source's number, or one by first appearance where the source has
    text), `resolution` (Angstrom, -1 if unknown), `breaks` (neighbouring rows whose C and N are no bond) and
    `placed_oxygen` (oxygens that the source lacks, put into the peptide plane).
    """

    domain: ClassVar[str] = "protein"

    max_length: int = Field(256, ge=1)
    """Longest chain in residues, before a tag is cut; missing residues count where the source has a row for them."""
    min_length: int = Field(4, ge=1)
    """Shortest chain in residues, after a tag is cut."""
    max_resolution: float | None = Field(None, gt=0)
    """Worst resolution in Angstrom. Chains whose source gives none (NMR) stay."""
    least_resolved: float = Field(0.0, ge=0, le=1)
    """Least share of residues with N, CA and C; a chain where none of them is one of the 20 amino acids is always left
    out."""
    max_breaks: int | None = Field(None, ge=0)
    """Most chain breaks: neighbouring rows with C and N more than 2 Angstrom apart."""
    his_tag: Literal["keep", "fixed", "reference"] = "fixed"
    """Tags of six H at most four residues from an end: kept, cut once so that the whole tag goes, or cut as REED does
    (once per place that matches, so that seven H at an end take six further residues along)."""
    most_per_cluster: float = Field(1.0, gt=0, le=1)
    """Largest share of the test chains that one cluster may be: of larger ones chains are left out (and counted), the
    same each time. 1 is no limit."""

    @abstractmethod
    def read(self) -> Source:
        """All chains of the source."""

    @abstractmethod
    def split_of(self, clusters: Iterable[str]) -> Mapping[str, str]:
        """The split of each cluster: train, valid or test."""

    @abstractmethod
    def wanted(self) -> tuple[str, ...]:
        """Splits that must not be empty."""

    def rows(self) -> Rows:
        """All chains that pass the filters, in the order of the source; arrays as in `domains.protein`.

        Raises:
            ConfigError: a file is absent, damaged or not what it should be, or a split is empty.
        """
        return self.made[0]

    def facts(self) -> dict[str, Any]:
        """Source, chains that were left out by reason, and what was changed in the others."""
        return self.made[1]

    @cached_property
    def made(self) -> tuple[Rows, dict[str, Any]]:
        """Rows and facts, which come from one pass over the source."""
        source = self.read()
        self._check_names(source.chains)
        self._check_places(source.chains)
        dropped, tagged = Counter(source.dropped), set[str]()
        kept: list[Chain] = []
        for chain in source.chains:
            whole, chain = chain, chain.cut(trimmed(chain.sequence, self.his_tag)).with_oxygens()
            if reason := self._objection(whole, chain):
                dropped[reason] += 1
            else:
                kept.append(chain)
                tagged |= {chain.name} if len(chain.sequence) < len(whole.sequence) else set()
        splits = self._splits(kept, dropped)
        tested = [chain for chain, split in zip(kept, splits, strict=True) if split == TEST]
        surplus = self._surplus(tested)
        dropped["most_per_cluster"] += len(surplus)
        stays = [i for i, chain in enumerate(kept) if chain.name not in surplus]
        rows = _rows([kept[i] for i in stays], [splits[i] for i in stays])
        left_out = dict(sorted((+dropped).items()))
        return rows, {**source.facts, **_counts(rows), "left_out": left_out, "tags_cut": len(tagged - surplus)}

    def remarks(self) -> list[str]:
        """Chains, clusters and effective clusters of each split."""
        return families.lines(self.facts()["clusters_by_split"])

    def _surplus(self, tested: Sequence[Chain]) -> set[str]:
        """Names of test chains that `most_per_cluster` leaves out."""
        names, clusters = [chain.name for chain in tested], [chain.cluster for chain in tested]
        try:
            return families.surplus(names, clusters, self.most_per_cluster, self.id)
        except ConfigError as error:
            raise ConfigError(f"dataset {self.id}: {error}") from error

    def _splits(self, chains: Sequence[Chain], dropped: Counter[str]) -> list[str]:
        """The split of each chain."""
        split_of = self.split_of(chain.cluster for chain in chains)
        splits = [split_of[chain.cluster] for chain in chains]
        if empty := [split for split in self.wanted() if split not in splits]:
            raise ConfigError(
                f"dataset {self.id}: no chain in split '{empty[0]}' ({len(chains)} chains in {len(split_of)} clusters "
                f"pass the filters, left out: {dict(+dropped) or 'none'}); loosen the filters, or divide the clusters "
                "differently"
            )
        return splits

    def _check_names(self, chains: Sequence[Chain]) -> None:
        names = Counter(chain.name for chain in chains)
        for text in (*names, *(chain.cluster for chain in chains)):
            if SURROGATE.search(text):
                raise ConfigError(f"dataset {self.id}: name {text!a} is no text: half a character; rename it")
        if bad := next((name for name in names if names[name] > 1 or name.split() != [name]), None):
            why = f"is there {names[bad]} times" if names[bad] > 1 else "has white space, which FASTA files cannot hold"
            raise ConfigError(f"dataset {self.id}: chain '{bad}' {why}; rename it")

    def _check_places(self, chains: Sequence[Chain]) -> None:
        for chain in chains:
            far = (np.abs(chain.coordinates) > FARTHEST).any((1, 2))  # False where an atom is missing
            if far.any():
                raise ConfigError(
                    f"dataset {self.id}: chain '{chain.name}': residue {far.argmax() + 1} has a coordinate beyond "
                    f"{FARTHEST:g} Angstrom; correct it, or leave the chain out"
                )

    def _objection(self, whole: Chain, chain: Chain) -> str:
        """The filter that a chain fails, or nothing."""
        resolved = peptide.has_backbone(chain.coordinates)
        known = residues.tokens(chain.sequence) != residues.UNKNOWN
        scored = known & protein.resolved(chain.coordinates)
        failed = {
            "max_length": len(whole.sequence) > self.max_length,
            "min_length": len(chain.sequence) < self.min_length,
            "max_resolution": self.max_resolution is not None and chain.resolution > self.max_resolution,
            "nothing resolved": not resolved.any(),
            "no known residue resolved": not scored.any(),
            "least_resolved": resolved.sum() < self.least_resolved * len(resolved),
            "max_breaks": self.max_breaks is not None and peptide.breaks(chain.coordinates) > self.max_breaks,
        }
        return next((reason for reason, fails in failed.items() if fails), "")


class AbstractSharedOut(AbstractChains):
    """Chains whose source has clusters but no split: clusters are dealt out."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of clusters that are held out for testing."""
    valid_share: float = Field(0.05, ge=0, lt=1)
    """Share of clusters that are held out for choices made while training."""
    split_seed: int = 0
    """Another seed deals the clusters out differently."""

    def split_of(self, clusters: Iterable[str]) -> Mapping[str, str]:
        """Clusters in the order of a digest of their names, so that a filter moves few of them to another split."""
        order = sorted(set(clusters), key=lambda name: (seeds.of("split", self.id, self.split_seed, name), name))
        test, valid = (round(share * len(order)) for share in (self.test_share, self.valid_share))
        splits = [TEST] * test + [VALID] * valid + [TRAIN] * len(order)
        return dict(zip(order, splits, strict=False))

    def wanted(self) -> tuple[str, ...]:
        """Training, and those with a share."""
        return (TRAIN, *([VALID] if self.valid_share else []), *([TEST] if self.test_share else []))


def trimmed(sequence: str, rule: str) -> slice:
    """The part of a chain that stays when its His tags are cut; see `AbstractChains.his_tag`.

    The reference looks for HHHHHH at 0..4 residues from either end of the untrimmed chain and cuts once for each match
    (REED 0a4527e protein/fmif/utils.py:171-190). 'fixed' cuts once, at the match that reaches deepest.
    """
    ends = []
    for text in (sequence, sequence[::-1]):
        cuts = [offset + len(TAG) for offset in TAG_OFFSETS if text.startswith(TAG, offset)] or [0]
        ends.append({"keep": 0, "fixed": max(cuts), "reference": sum(cuts)}[rule])
    return slice(ends[0], max(ends[0], len(sequence) - ends[1]))


def digest(files: Iterable[Path], folder: Path) -> str:
    """One sha256 for the names and contents of several files of a folder."""
    lines = (f"{file.relative_to(folder).as_posix()} {io.sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _rows(chains: Sequence[Chain], split: Sequence[str]) -> Rows:
    arrays = {
        "coordinates": Ragged.of([chain.coordinates for chain in chains]),
        "tokens": Ragged.of([residues.tokens(chain.sequence) for chain in chains]),
        "chain": Ragged.of([np.ones(len(chain.sequence), np.uint8) for chain in chains]),
        "cluster": _numbers([chain.cluster for chain in chains]),
        "resolution": np.array([chain.resolution for chain in chains], np.float32),
        "breaks": np.array([peptide.breaks(chain.coordinates) for chain in chains], np.int32),
        "placed_oxygen": np.array([chain.placed_oxygens for chain in chains], np.int32),
    }
    return Rows([chain.name for chain in chains], split, arrays)


def _numbers(clusters: Sequence[str]) -> np.ndarray:
    """(n,) int64: names that are all numbers stand for themselves, others are counted by first appearance."""
    if all(name.isascii() and name.isdecimal() and name == str(int(name)) and len(name) < 19 for name in clusters):
        return np.array([int(name) for name in clusters], np.int64)
    number = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    return np.array([number[name] for name in clusters], np.int64)


def _counts(rows: Rows) -> dict[str, Any]:
    arrays = rows.arrays
    return {
        "residues": len(arrays["tokens"].values),
        "unknown_residues": int((arrays["tokens"].values == residues.UNKNOWN).sum()),
        "unresolved_residues": int((~peptide.has_backbone(arrays["coordinates"].values)).sum()),
        "clusters": len(set(arrays["cluster"].tolist())),
        "clusters_by_split": families.described(arrays["cluster"], rows.split, arrays["tokens"].lengths),
        "chains_without_resolution": int((arrays["resolution"] == NO_RESOLUTION).sum()),
        "placed_oxygens": int(arrays["placed_oxygen"].sum()),
        "chains_with_placed_oxygens": int((arrays["placed_oxygen"] > 0).sum()),
        "breaks": int(arrays["breaks"].sum()),
    }
