"""A folder of structures in PDB, mmCIF or binary CIF files, read with biotite (BSD-3, https://www.biotite-python.org).

What counts as a residue follows ProteinMPNN's parser (8907e66 protein_mpnn_utils.py:54-187): ATOM records, and MSE as
MET; the first atom of a name wins over alternatives; residue numbers are made contiguous with X where one is absent;
insertion codes follow their number in alphabetical order; other residues are X.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reedbench.core import io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _chains, _tables
from reedbench.datasets._chains import AbstractSharedOut, Chain, Source
from reedbench.domains.protein import ATOMS

SUFFIXES = (".pdb", ".cif", ".bcif")
NAMES = "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR MSE".split()
LETTERS = dict(zip(NAMES, "ACDEFGHIKLMNPQRSTVWYM", strict=True))
CIF_RESOLUTION = (("refine", "ls_d_res_high"), ("em_3d_reconstruction", "resolution"))


class PdbFolder(AbstractSharedOut):
    """Every chain of every .pdb, .cif and .bcif file of a folder; rows are named <file>_<chain>."""

    uses: Literal["pdb-folder"] = "pdb-folder"

    folder: str
    """The folder, searched with its subfolders, from the working directory or $REEDBENCH_DATA. Chains and residue
    numbers are the authors'; only the first model counts."""
    only_chain: str = ""
    """Name of the one chain to take from each file; all of them if empty."""
    clusters: str = ""
    """A .csv file with columns `name` and `cluster` that says which rows are homologues. Without it all chains of a
    file are one cluster, and homologues in different files may end up in different splits."""

    def files(self) -> tuple[Path, ...]:
        """The table of clusters; structures, which may be many, have one digest in the index."""
        return (_chains.existing(self, "clusters"),) if self.clusters else ()

    def read(self) -> Source:
        """Chains by path, then in the order of the file.

        Raises:
            ConfigError: the folder holds no structure, or one cannot be read; it is named.
        """
        folder = _chains.existing(self, "folder")
        files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in SUFFIXES]
        if not files:
            raise ConfigError(f"dataset {self.id}: {folder}: holds no file that ends in {', '.join(SUFFIXES)}")
        dropped: Counter[str] = Counter()
        chains = [chain for file in files for chain in self._chains_of(file, dropped)]
        facts = {"source": self.folder, "files": len(files), "sha256": _chains.digest(files, folder)}
        if not self.clusters:
            return Source(chains, dropped, {**facts, "clusters_from": "files: one cluster each, homologues unknown"})
        (file,) = self.files()
        facts |= {"clusters_from": self.clusters, "clusters_sha256": io.sha256(file)}
        return Source(_grouped(chains, file), dropped, facts)

    def _chains_of(self, file: Path, dropped: Counter[str]) -> Iterator[Chain]:
        try:
            atoms, resolution = _atoms(file)
        except ImportError:
            raise
        except Exception as error:  # parsers raise whatever a damaged file leads them to
            raise ConfigError(f"{file}: not a whole {file.suffix} file ({type(error).__name__}: {error})") from error
        if not np.isfinite(atoms.coord).all():
            raise ConfigError(f"{file}: a coordinate of an atom is not a finite number; leave the atom out")
        names = [name for name in dict.fromkeys(atoms.chain_id.tolist()) if self.only_chain in ("", name)]
        dropped[f"file without chain {self.only_chain}" if self.only_chain else "file without protein"] += not names
        for name in names:
            chain = atoms[atoms.chain_id == name]
            if int(np.ptp(chain.res_id)) >= self.max_length:  # numbers may be anything: no rows are made for them
                dropped["max_length"] += 1
                continue
            yield Chain(f"{file.stem}_{name.strip()}", *_backbone(chain), file.stem, resolution)


def _grouped(chains: list[Chain], file: Path) -> list[Chain]:
    """The same chains with the clusters of a .csv file."""
    cluster_of: dict[str, str] = {}
    for where, row in _tables.rows(file, ("name", "cluster")):
        if row["name"] in cluster_of:
            raise ConfigError(f"{where}: '{row['name']}' is there a second time; give every chain one line")
        cluster_of[row["name"]] = row["cluster"]
    if lacking := [chain.name for chain in chains if not cluster_of.get(chain.name)]:
        raise ConfigError(f"{file}: {len(lacking)} of {len(chains)} chains have no cluster, such as '{lacking[0]}'")
    return [replace(chain, cluster=cluster_of[chain.name]) for chain in chains]


def _atoms(file: Path) -> tuple[Any, float]:
    """Atoms of the residues that count, first model, and the resolution."""
    from biotite.structure.io import pdb, pdbx

    if file.suffix.lower() == ".pdb":
        opened = pdb.PDBFile.read(file)
        atoms = opened.get_structure(model=1, altloc="all")
        resolution = _pdb_resolution(opened.lines)
    else:
        opened = (pdbx.BinaryCIFFile if file.suffix.lower() == ".bcif" else pdbx.CIFFile).read(file)
        atoms = pdbx.get_structure(opened, model=1, altloc="all")
        resolution = _cif_resolution(opened.block)
    return atoms[~atoms.hetero | (atoms.res_name == "MSE")], resolution


def _backbone(atoms: Any) -> tuple[str, np.ndarray]:
    """Sequence and (length, 4, 3) float32 backbone of one chain."""
    names: dict[tuple[int, str], str] = {}
    places: dict[tuple[tuple[int, str], str], np.ndarray] = {}
    columns = (atoms.res_id.tolist(), atoms.ins_code.tolist(), atoms.res_name.tolist(), atoms.atom_name.tolist())
    for number, code, residue, atom, place in zip(*columns, atoms.coord, strict=True):
        key = number, code.strip()
        names.setdefault(key, residue)
        if atom in ATOMS:
            places.setdefault((key, atom), place)
    numbers = {number for number, _ in names}
    absent = [(number, "") for number in range(min(numbers), max(numbers)) if number not in numbers]
    keys = sorted([*names, *absent])
    missing = np.full(3, np.nan, np.float32)
    coordinates = np.array([[places.get((key, atom), missing) for atom in ATOMS] for key in keys], np.float32)
    return "".join(LETTERS.get(names.get(key, ""), "X") for key in keys), coordinates


def _pdb_resolution(lines: list[str]) -> float:
    found = (re.match(r"REMARK   2 RESOLUTION\.\s+(\S+) ANGSTROM", line) for line in lines)
    return _positive([match[1] for match in found if match])


def _cif_resolution(block: Any) -> float:
    there = [(name, column) for name, column in CIF_RESOLUTION if name in block and column in block[name]]
    return _positive([block[name][column].as_array(str)[0] for name, column in there])


def _positive(texts: list[str]) -> float:
    """The first that is a number above 0; experiments without a resolution write 0, ?, or NULL."""
    numbers = (float(text) for text in texts if re.fullmatch(r"\d+(\.\d*)?", text))
    return next((number for number in numbers if number > 0), _chains.NO_RESOLUTION)
