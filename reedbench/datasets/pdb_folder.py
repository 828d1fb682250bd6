"""A folder of structures in PDB, mmCIF or binary CIF files; biotite (BSD-3, https://www.biotite-python.org) parses CIF.

What counts as a residue is said in `domains.polymers`; with `residues: reference` it is what ProteinMPNN's parser says.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from reedbench.core import io
from reedbench.core.errors import ConfigError
from reedbench.datasets import _chains, _reference_parser, _remarks, _tables
from reedbench.datasets._chains import AbstractSharedOut, Chain, Source
from reedbench.domains import polymers, structure_files
from reedbench.domains.pdb_records import BadStructure
from reedbench.domains.polymers import Counts

SHOWN = 20  # broken files that a message and the index name
NOTICED = (
    "broken_files",
    "files_of_other_kinds",
    "files_with_further_models",
    "modified_residues",
    "residues_of_unknown_name",
    "residues_missing_in_gaps",
    "chains_with_gaps_left_open",
    "residues_with_alternative_locations",
    "residues_written_twice",
    "single_amino_acids_left_out",
    "other_molecules_left_out",
)


class PdbFolder(AbstractSharedOut):
    """Every chain of every structure file of a folder; rows are named <file>_<chain>.

    Files end in .pdb, .ent, .pdb1 (an assembly), .cif, .mmcif or .bcif, or one of these with .gz.
    """

    version: ClassVar[int] = 2
    uncited: ClassVar[str] = "a layout: whose structures they are is said by `papers`"
    uses: Literal["pdb-folder"] = "pdb-folder"

    folder: str
    """The folder, searched with its subfolders, from the working directory or $REEDBENCH_DATA. Chains are the
    authors'; only the first model that has atoms counts. Two chains of one letter are A and A-2."""
    only_chain: str = ""
    """Letter or name of the chain to take from each file (all that bear the letter); all chains if empty."""
    clusters: str = ""
    """A .csv file with columns `name` and `cluster` that says which rows are homologues. Without it all chains of a
    file are one cluster, and homologues in different files may end up in different splits."""
    residues: Literal["file", "reference"] = "file"
    """`file`: residues in the order of the file (mmCIF: of the polymer), each in its likeliest location, protonation
    states as their amino acid, X only for what is missing in a gap in space. `reference`: as ProteinMPNN's parser reads
    them: by number, X for every number that is absent, chains of one letter in one."""
    modified: Literal["parent", "x"] = "parent"
    """Modified residues (SEP, CSO, D-amino acids) as the amino acid that they come from, or as X. MSE is M either
    way; with `residues: reference` all others are X."""
    broken: Literal["stop", "count"] = "stop"
    """Files that cannot be read stop the preparation, all named in one message, or are left out and counted."""

    def files(self) -> tuple[Path, ...]:
        """The table of clusters; structures, which may be many, have one digest in the index."""
        return (self.existing("clusters"),) if self.clusters else ()

    def read(self) -> Source:
        """Chains by path, then in the order of the file.

        Raises:
            ConfigError: the folder holds no structure, or some cannot be read; they are named.
        """
        folder = self.existing("folder")
        found = _Found()
        files, found.others = structure_files.found(folder, self.files())
        if not files:
            raise ConfigError(f"dataset {self.id}: {folder}: holds no structure file ({structure_files.READ})")
        parse = self._as_reference if self.residues == "reference" else self._as_in_file
        chains: list[Chain] = []
        for file in files:
            try:
                chains += parse(file, found)
            except BadStructure as error:
                found.broken[file] = str(error)
        self._check_broken(found.broken, len(files))
        found.dropped["broken file"] += len(found.broken)
        facts = {"source": self.folder, "files": len(files), "sha256": _chains.digest(files, folder)}
        facts |= {"residues_as": self.residues, **found.facts(folder)}
        if not self.clusters:
            return Source(
                chains, found.dropped, {**facts, "clusters_from": "files: one cluster each, homologues unknown"}
            )
        (file,) = self.files()
        facts |= {"clusters_from": self.clusters, "clusters_sha256": io.sha256(file)}
        return Source(_grouped(chains, file), found.dropped, facts)

    def remarks(self) -> list[str]:
        """What was left out or changed, and clusters."""
        return [*_remarks.noticed(self.facts(), ("left_out", *NOTICED)), *super().remarks()]

    def _check_broken(self, broken: dict[Path, str], files: int) -> None:
        """All broken files in one message."""
        if broken and (self.broken == "stop" or len(broken) == files):
            lines = [f"{file}: {why}" for file, why in list(broken.items())[:SHOWN]]
            if len(broken) > SHOWN:
                lines.append(f"and {len(broken) - SHOWN} more")
            many = f"{len(broken)} of {files} files hold no structure that can be read"
            cure = (
                "mend or remove them, or say `broken: count` to leave them out" if len(broken) < files else "mend them"
            )
            raise ConfigError("\n  ".join([f"dataset {self.id}: {many} ({cure}):", *lines]))

    def _as_in_file(self, file: Path, found: "_Found") -> list[Chain]:
        records = structure_files.read(file)
        made, counts = polymers.chains(records.atoms, self.max_length, self.modified)
        found.counts.add(counts)
        found.further_models += records.further
        resolution = records.resolution or _chains.NO_RESOLUTION
        stem = structure_files.stem(file)
        wanted = [polymer for polymer in made if self.only_chain in ("", polymer.name, polymer.letter)]
        self._count_none(wanted, found)
        found.dropped["chain without amino acids"] += bool(made) and not self.only_chain and counts.no_protein
        return [
            Chain(f"{stem}_{polymer.name}", polymer.sequence, polymer.coordinates, stem, resolution)
            for polymer in wanted
        ]

    def _as_reference(self, file: Path, found: "_Found") -> list[Chain]:
        atoms, resolution = _reference_parser.read(file)
        parts = [part for part in _reference_parser.chains(atoms) if self.only_chain in ("", part[0])]
        self._count_none(parts, found)
        stem, made = structure_files.stem(file), []
        for name, span, chain in parts:
            if span > self.max_length:  # numbers may be anything: no rows are made for them
                found.dropped["max_length"] += 1
                continue
            parsed = _reference_parser.backbone(chain)
            made.append(Chain(f"{stem}_{name}", *parsed, stem, resolution or _chains.NO_RESOLUTION))
        return made

    def _count_none(self, chains: Sequence[object], found: "_Found") -> None:
        reason = f"file without chain {self.only_chain}" if self.only_chain else "file without protein"
        found.dropped[reason] += not chains


@dataclass
class _Found:
    """What was noticed on the way."""

    dropped: Counter[str] = field(default_factory=Counter)
    broken: dict[Path, str] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    others: Counter[str] = field(default_factory=Counter)
    further_models: int = 0

    def facts(self, folder: Path) -> dict[str, Any]:
        """For the index, by the names of `NOTICED`; only what there is."""
        counts = self.counts
        broken = {str(file.relative_to(folder)): why for file, why in list(self.broken.items())[:SHOWN]}
        values = (
            broken,
            dict(self.others.most_common()),
            self.further_models,
            dict((+counts.modified).most_common()),
            dict((+counts.unknown).most_common()),
            counts.filled,
            counts.open_gaps,
            counts.choices,
            counts.repeated,
            counts.free,
            counts.others,
        )
        return {name: value for name, value in zip(NOTICED, values, strict=True) if value}


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
