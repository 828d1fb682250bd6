"""Chains in JSON lines: one object a line with `name`, `seq`, `coords` and whatever names the cluster.

The layout is after the chain sets of Ingraham et al. 2019
(https://github.com/jingraham/neurips19-graph-protein-design); a missing atom is null, never NaN.
"""

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reedbench.core import io, residues
from reedbench.core.errors import ConfigError, unknown
from reedbench.datasets import _chains
from reedbench.datasets._chains import AbstractSharedOut, Chain, Source
from reedbench.domains.protein import ATOMS

OWN_KEYS = ("name", "seq", "coords")  # they cannot say which chains are homologues
MISSING = [math.nan] * 3
ONE_PER_CHAIN = "one-per-chain"
NO_CLUSTER = ""  # until the names of all clusters are known


class ChainsJsonl(AbstractSharedOut):
    """A .jsonl or .jsonl.gz file of single chains with clusters."""

    uses: Literal["chains-jsonl"] = "chains-jsonl"

    file: str
    """The file, from the working directory or $REEDBENCH_DATA. Every line has `name`, `seq` (20 letters or X) and
    `coords` with N, CA, C and perhaps O: per residue [x, y, z] in Angstrom, or null. `resolution` is optional."""
    cluster_key: str = "cluster40"
    """Key whose value says which chains are homologues; a line whose value is null is a cluster of its own. The word
    `one-per-chain` makes every chain a cluster of its own, whatever its keys: homologues then cross splits."""

    def files(self) -> tuple[Path, ...]:
        """The file."""
        return (_chains.existing(self, "file"),)

    def read(self) -> Source:
        """All chains of the file.

        Raises:
            ConfigError: there is no such file, or a line is no chain; the line is named.
        """
        (file,) = self.files()
        chains: list[Chain] = []
        for number, line in _lines(file):
            try:
                chains.append(_chain(line, self.cluster_key))
            except (ConfigError, ValueError, RecursionError) as error:  # no JSON, or one nested too deeply
                raise ConfigError(f"{file}: line {number}: {error}") from error
        return Source(_own_clusters(chains), {}, {"source": self.file, "sha256": io.sha256(file)})


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


def _chain(line: str, cluster_key: str) -> Chain:
    # NaN is no JSON. As infinity it is told apart from null, and refused with residue and atom.
    record = json.loads(line, parse_constant=lambda _: math.inf)
    if not isinstance(record, dict):
        raise ConfigError("is no JSON object; one chain a line is needed")
    if wrong := [key for key in ("name", "seq") if not (isinstance(record.get(key), str) and record[key])]:
        raise ConfigError(f"'{wrong[0]}' must be there as text that is not empty")
    name, sequence, coords = record["name"], record["seq"], record.get("coords")
    if not isinstance(coords, dict):
        raise ConfigError(f"chain '{name}': 'coords' must be an object with N, CA, C and perhaps O")
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
    if array.shape == (length, 3) and array.dtype.kind in "fi" and not (np.abs(array) > _chains.FARTHEST).any():
        return array.astype(np.float32)
    bad = next(number for number, entry in enumerate(column, 1) if not _is_place(entry))
    raise ConfigError(
        f"residue {bad}, atom {atom}: must be three numbers (no NaN, none beyond {_chains.FARTHEST:g} Angstrom), or "
        "null where the atom is missing"
    )


def _is_place(entry: Any) -> bool:
    numbers = isinstance(entry, list) and len(entry) == 3 and all(type(x) in (int, float) for x in entry)
    return entry is None or (numbers and all(abs(x) <= _chains.FARTHEST for x in entry))


def _cluster(record: dict[str, Any], key: str) -> str:
    if key == ONE_PER_CHAIN:
        return NO_CLUSTER
    if key not in record:
        raise ConfigError(
            f"cluster_key: {unknown('key', key, [name for name in record if name not in OWN_KEYS])}; null is a cluster "
            f"of its own, and cluster_key: {ONE_PER_CHAIN} makes every chain one"
        )
    if (cluster := record[key]) is None:
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
