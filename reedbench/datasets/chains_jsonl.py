"""Chains in JSON lines: one object a line with `name`, `seq`, `coords` and whatever names the cluster.

The layout is that of the chain sets of Ingraham et al. 2019
(https://github.com/jingraham/neurips19-graph-protein-design), which are read as they are: CATH 4.2 in chain_set.jsonl
with chain_set_splits.json. A missing atom is null, or three NaN.
"""

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from reedbench.core import io
from reedbench.core.errors import ConfigError, unknown
from reedbench.datasets import _chains, _remarks, _tables
from reedbench.datasets._chains import AbstractSharedOut, Chain, Source
from reedbench.domains.protein import ATOMS
from reedbench.domains.residue_names import GENETIC, X
from reedbench.domains.rows import TEST, TRAIN, VALID
from reedbench.nn import residues

OWN_KEYS = ("name", "seq", "coords")  # they cannot say which chains are homologues
MISSING = [math.nan] * 3
ONE_PER_CHAIN = "one-per-chain"
SPLITS = {"train": TRAIN, "validation": VALID, "valid": VALID, "test": TEST}  # keys of the file, and ours
AMBIGUOUS = "BJZ"  # one of two amino acids
LETTERS = {
    "parent": str.maketrans({**GENETIC, **dict.fromkeys(AMBIGUOUS, X)}),
    "x": str.maketrans(dict.fromkeys((*GENETIC, *AMBIGUOUS), X)),
}
NOTICED = ("left_out", "letters_replaced", "names_in_splits_that_are_absent", "clusters_across_splits")
NO_CLUSTER = ""  # until the names of all clusters are known


class ChainsJsonl(AbstractSharedOut):
    """A .jsonl or .jsonl.gz file of single chains with clusters."""

    uncited: ClassVar[str] = "a layout: whose chains they are is said by `papers`"
    uses: Literal["chains-jsonl"] = "chains-jsonl"

    file: str
    """The file, from the working directory or $REEDBENCH_DATA. Every line has `name`, `seq` (20 letters or X; U and O
    as `modified` says, B, J and Z as X) and `coords` with N, CA, C and perhaps O: per residue [x, y, z] in Angstrom, or
    null. `resolution` is optional."""
    cluster_key: str = "cluster40"
    """Key whose value says which chains are homologues (of a list the first, such as `CATH`); a line whose value is
    null is a cluster of its own. The word `one-per-chain` makes every chain a cluster of its own, whatever its keys:
    homologues then cross splits."""
    splits: str = ""
    """A .json file with lists of names under `train`, `validation` and `test`, such as CATH's chain_set_splits.json:
    chains of others are left out, and nothing is dealt out by cluster. Without it clusters are dealt out."""
    modified: Literal["parent", "x"] = "parent"
    """Selenocysteine (U) and pyrrolysine (O) as C and K, or as X."""

    def files(self) -> tuple[Path, ...]:
        """The file, and that of the splits."""
        return tuple(self.existing(key) for key in ("file", "splits") if getattr(self, key))

    def read(self) -> Source:
        """All chains of the file.

        Raises:
            ConfigError: there is no such file, or a line is no chain; the line is named.
        """
        file, *others = self.files()
        chains: list[Chain] = []
        replaced: Counter[str] = Counter()
        for number, line in _lines(file):
            try:
                chains.append(_chain(line, self.cluster_key, self.modified, replaced))
            except (ConfigError, ValueError, RecursionError) as error:  # no JSON, or one nested too deeply
                raise ConfigError(f"{file}: line {number}: {error}") from error
        chains = _own_clusters(chains)
        facts: dict[str, Any] = {"source": self.file, "sha256": io.sha256(file)}
        if replaced:
            facts["letters_replaced"] = dict(replaced)
        if not self.splits:
            return Source(chains, {}, facts)
        listed = [chain for chain in chains if chain.name in self._given]
        crossing = sum(len(splits) > 1 for splits in self._splits_of(listed).values())
        facts |= {"splits_from": self.splits, "splits_sha256": io.sha256(others[0]), "clusters_across_splits": crossing}
        facts |= {"names_in_splits_that_are_absent": len(self._given) - len({chain.name for chain in listed})}
        return Source(listed, {"in none of the splits": len(chains) - len(listed)}, facts)

    def wanted(self) -> tuple[str, ...]:
        """With `splits` those that it names, and training."""
        return tuple(sorted({TRAIN, *self._given.values()})) if self.splits else super().wanted()

    def remarks(self) -> list[str]:
        """What was left out or replaced, and clusters."""
        return [*_remarks.noticed(self.facts(), NOTICED), *super().remarks()]

    def _splits(self, chains: Sequence[Chain], dropped: Counter[str]) -> list[str]:
        if not self.splits:
            return super()._splits(chains, dropped)
        splits = [self._given[chain.name] for chain in chains]
        if empty := [split for split in self.wanted() if split not in splits]:
            raise ConfigError(
                f"dataset {self.id}: no chain in split '{empty[0]}' of {self.splits} ({len(chains)} chains pass the "
                f"filters, left out: {dict(+dropped) or 'none'}); loosen the filters, or take other splits"
            )
        return splits

    def _splits_of(self, chains: Sequence[Chain]) -> dict[str, set[str]]:
        """Splits that each cluster has chains in."""
        found: dict[str, set[str]] = {}
        for chain in chains:
            found.setdefault(chain.cluster, set()).add(self._given[chain.name])
        return found

    @cached_property
    def _given(self) -> dict[str, str]:
        """The split of each name, where `splits` says one.

        Raises:
            ConfigError: the file holds something else, or a name twice.
        """
        file = self.existing("splits")
        wrong = f"{file}: must be a JSON object with lists of names under train, validation and test"
        try:
            lists = json.loads(_tables.text(file))
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{wrong} ({error})") from error
        if not isinstance(lists, dict) or not any(key in lists for key in SPLITS):
            raise ConfigError(wrong)
        split_of: dict[str, str] = {}
        for key, split in SPLITS.items():
            names = lists.get(key, [])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ConfigError(f"{wrong}; '{key}' is no list of names")
            for name in names:
                if split_of.setdefault(name, split) != split:
                    raise ConfigError(f"{file}: '{name}' is in {split_of[name]} and in {split}")
        return split_of


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not empty."""
    opened: Any = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8") as text:
            yield from ((number, line) for number, line in enumerate(text, 1) if line.strip())
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: damaged or cut short ({error}); get it again") from error


def _own_clusters(chains: list[Chain]) -> list[Chain]:
    """The same chains; those without a cluster get one that has their name, marked where a cluster is called so."""
    named, mark = {chain.cluster for chain in chains}, ""
    while any(not chain.cluster and mark + chain.name in named for chain in chains):
        mark += "="
    return [chain if chain.cluster else replace(chain, cluster=mark + chain.name) for chain in chains]


def _chain(line: str, cluster_key: str, modified: str, replaced: Counter[str]) -> Chain:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ConfigError("is no JSON object; one chain a line is needed")
    if wrong := [key for key in ("name", "seq") if not (isinstance(record.get(key), str) and record[key])]:
        raise ConfigError(f"'{wrong[0]}' must be there as text that is not empty")
    name, sequence, coords = record["name"], record["seq"], record.get("coords")
    if not isinstance(coords, dict):
        raise ConfigError(f"chain '{name}': 'coords' must be an object with N, CA, C and perhaps O")
    replaced.update(letter for letter in sequence if letter in (*GENETIC, *AMBIGUOUS))
    sequence = sequence.translate(LETTERS[modified])
    residues.tokens(sequence)
    atoms = [_atom(coords.get(atom), atom, len(sequence)) for atom in ATOMS]
    return Chain(name, sequence, np.stack(atoms, 1), _cluster(record, cluster_key), _resolution(record))


def _atom(column: Any, atom: str, length: int) -> np.ndarray:
    """Places of one atom in all residues: (length, 3) float32, NaN where there is none."""
    if column is None and atom == "O":
        return np.full((length, 3), np.nan, np.float32)
    if not isinstance(column, list) or len(column) != length:
        size = len(column) if isinstance(column, list) else "no"
        raise ConfigError(f"atom {atom} has {size} entries for {length} letters of the sequence")
    try:
        array = np.array([MISSING if entry is None else entry for entry in column])
    except ValueError:  # entries of different lengths
        array = np.empty(0)
    if array.shape == (length, 3) and array.dtype.kind in "fi" and _are_places(array):
        return array.astype(np.float32)
    bad = next(number for number, entry in enumerate(column, 1) if not _is_place(entry))
    raise ConfigError(
        f"residue {bad}, atom {atom}: must be three numbers (none beyond {_chains.FARTHEST:g} Angstrom), or null or "
        "three NaN where the atom is missing"
    )


def _are_places(array: np.ndarray) -> bool:
    """(n, 3): numbers that are near enough, or none of the three is one."""
    absent = np.isnan(array)
    return bool((absent.any(-1) == absent.all(-1)).all()) and not (np.abs(array) > _chains.FARTHEST).any()


def _is_place(entry: Any) -> bool:
    numbers = isinstance(entry, list) and len(entry) == 3 and all(type(x) in (int, float) for x in entry)
    return entry is None or (numbers and _are_places(np.array([entry], np.float64)))


def _cluster(record: dict[str, Any], key: str) -> str:
    if key == ONE_PER_CHAIN:
        return NO_CLUSTER
    if key not in record:
        raise ConfigError(
            f"cluster_key: {unknown('key', key, [name for name in record if name not in OWN_KEYS])}; null is a cluster "
            f"of its own, and cluster_key: {ONE_PER_CHAIN} makes every chain one"
        )
    cluster = record[key]
    if isinstance(cluster, list):  # CATH codes: the first says the fold
        cluster = cluster[0] if cluster and all(isinstance(code, str) for code in cluster) else cluster or None
    if cluster is None:
        return NO_CLUSTER
    if type(cluster) not in (str, int) or cluster == NO_CLUSTER:
        raise ConfigError(f"'{key}' must be a whole number, text that is not empty, or null, not {json.dumps(cluster)}")
    return str(cluster)


def _resolution(record: dict[str, Any]) -> float:
    resolution = record.get("resolution")
    if resolution is None:
        return _chains.NO_RESOLUTION
    if type(resolution) not in (int, float) or not 0 < resolution < math.inf:
        raise ConfigError(f"'resolution' must be Angstrom above 0 or null, not {json.dumps(resolution)}")
    return float(resolution)
