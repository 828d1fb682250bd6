"""ProteinMPNN's training set in its own layout: list.csv, cluster files and one .pt file per chain.

Source: Dauparas et al. 2022, https://doi.org/10.1126/science.add2187; 16.5 GB at
https://files.ipd.uw.edu/pub/training_sets/pdb_2021aug02.tar.gz. REED (0a4527e protein/fmif/utils.py:239, 276) takes
the first chain of every cluster and loads it alone, without its assembly; so does this dataset.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import checkpoint, io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _chains, _tables
from reedbench.datasets._chains import AbstractChains, Chain, Source
from reedbench.domains.protein import ATOMS
from reedbench.domains.rows import TEST, TRAIN, VALID
from reedbench.nn import residues

COLUMNS = ("CHAINID", "RESOLUTION", "CLUSTER", "SEQUENCE")
CHAIN_ID = re.compile(r"([0-9a-z]{4,})_([0-9a-z]+)", re.IGNORECASE)  # it becomes a path
CLUSTER_FILES = {VALID: "valid_clusters.txt", TEST: "test_clusters.txt"}


class ProteinmpnnSet(AbstractChains):
    """The folder pdb_2021aug02, whole or as the 47 MB sample."""

    cites: ClassVar[tuple[str, ...]] = ("dauparas2022proteinmpnn", "berman2000pdb")
    uses: Literal["proteinmpnn-set"] = "proteinmpnn-set"

    folder: str
    """The unpacked archive, from the working directory or $REEDBENCH_DATA. It has list.csv, valid_clusters.txt,
    test_clusters.txt and pdb/<letters 2 and 3>/<entry>_<chain>.pt."""
    table: str = "list.csv"
    """File in the folder that lists the chains, such as REED's list_filtered.csv."""
    per_cluster: Literal["first", "all"] = "first"
    """Take the first listed chain of a cluster that has the length and resolution, as REED does, or all of them."""
    max_resolution: float | None = Field(3.5, gt=0)
    """Worst resolution in Angstrom, as in REED."""

    def files(self) -> tuple[Path, ...]:
        """The table and those of the held-out clusters; entries, which are many, have one digest in the index."""
        folder = self.existing("folder")
        return tuple(folder / name for name in (self.table, *CLUSTER_FILES.values()))

    def read(self) -> Source:
        """Chains in the order of the table.

        Raises:
            ConfigError: a file of the set is absent, damaged or unsafe; it is named. A chain without a .pt file is
                left out and counted.
        """
        folder = self.existing("folder")
        self._held_out()  # what is wrong with it is said before thousands of files are read
        dropped: Counter[str] = Counter()
        entries = folder / "pdb" if (folder / "pdb").is_dir() else folder
        contents, chains = hashlib.sha256(), []
        for row in self._chosen(_table(folder / self.table), dropped):
            entry, _ = row["CHAINID"].split("_")
            file = entries / entry[1:3] / f"{row['CHAINID']}.pt"
            if not file.exists():
                dropped["no file"] += 1
                continue
            sequence, coordinates = _loaded(file)
            if set(sequence) - set(residues.ALPHABET):
                dropped["unknown letters"] += 1
                continue
            contents.update(f"{file.name} {io.sha256(file)}\n".encode())
            chains.append(Chain(row["CHAINID"], sequence, coordinates, row["CLUSTER"], row["RESOLUTION"]))
        files = {file.name: io.sha256(file) for file in self.files()}
        return Source(chains, dropped, {"source": self.folder, "sha256": {**files, "chains": contents.hexdigest()}})

    def split_of(self, clusters: Iterable[str]) -> Mapping[str, str]:
        """As the cluster files say; what they do not name is for training."""
        held_out = self._held_out()
        return {cluster: held_out.get(cluster, TRAIN) for cluster in clusters}

    def wanted(self) -> tuple[str, ...]:
        """Training, and those whose file names a cluster."""
        return (TRAIN, *sorted(set(self._held_out().values())))

    def _held_out(self) -> dict[str, str]:
        folder = self.existing("folder")
        split_of: dict[str, str] = {}
        for split, name in CLUSTER_FILES.items():
            for number, line in enumerate(_tables.text(folder / name).split("\n"), 1):
                if not (cluster := line.strip()):
                    continue
                if not cluster.isdecimal():
                    raise ConfigError(f"{folder / name}: line {number}: '{cluster}' is no cluster number")
                if split_of.setdefault(str(int(cluster)), split) != split:
                    raise ConfigError(f"{folder / name}: line {number}: cluster {cluster} is in {CLUSTER_FILES[VALID]}")
        return split_of

    def _chosen(self, rows: Iterable[dict[str, Any]], dropped: Counter[str]) -> Iterator[dict[str, Any]]:
        """Rows whose file is worth reading; the others are counted."""
        seen: set[str] = set()
        for row in rows:
            if self.max_resolution is not None and row["RESOLUTION"] > self.max_resolution:
                dropped["max_resolution"] += 1
            elif len(row["SEQUENCE"]) > self.max_length:
                dropped["max_length"] += 1
            elif self.per_cluster == "first" and row["CLUSTER"] in seen:
                dropped["not first of its cluster"] += 1
            else:
                seen.add(row["CLUSTER"])
                yield row


def _table(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of list.csv with resolution as a number and cluster as canonical text.

    Raises:
        ConfigError: it is absent, or a line is wrong; the line is named.
    """
    for where, row in _tables.rows(file, COLUMNS):
        if not CHAIN_ID.fullmatch(row["CHAINID"]):
            raise ConfigError(f"{where}: needs a CHAINID such as 5l33_A: {row['CHAINID']!r}")
        try:
            resolution, cluster = float(row["RESOLUTION"]), int(row["CLUSTER"])
        except ValueError as error:
            raise ConfigError(f"{where}: RESOLUTION and CLUSTER must be numbers ({error})") from error
        resolution = resolution if np.isfinite(resolution) and resolution > 0 else _chains.NO_RESOLUTION
        yield {**row, "RESOLUTION": resolution, "CLUSTER": str(cluster)}


def _loaded(file: Path) -> tuple[str, np.ndarray]:
    """Sequence and (length, 4, 3) float32 backbone of a .pt file; only tensors and plain values are read.

    Raises:
        ConfigError: the file asks for code, is damaged or cut short, or holds something else.
    """
    import torch

    again = "unpack it from the archive again, or delete it (its chain is then left out and counted)"
    found = checkpoint.load(file, again)
    if not (isinstance(found, dict) and isinstance(found.get("seq"), str) and torch.is_tensor(found.get("xyz"))):
        raise ConfigError(f"{file}: must hold a dict with text `seq` and tensor `xyz`; {again}")
    sequence, xyz = found["seq"], found["xyz"]
    if xyz.layout != torch.strided or not xyz.is_floating_point():
        raise ConfigError(f"{file}: xyz must be a dense tensor of floats, not {xyz.dtype}, {xyz.layout}; {again}")
    if xyz.ndim != 3 or xyz.shape[0] != len(sequence) or xyz.shape[1] < len(ATOMS) or xyz.shape[2] != 3:
        raise ConfigError(f"{file}: xyz {tuple(xyz.shape)} does not fit {len(sequence)} letters in seq; {again}")
    backbone: np.ndarray = xyz[:, : len(ATOMS)].detach().to(torch.float32).numpy().copy()
    backbone[np.isnan(backbone).any(-1)] = np.nan  # an atom is there with three numbers or not at all
    return sequence, backbone
