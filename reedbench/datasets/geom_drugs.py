"""GEOM-Drugs: conformers of some 300,000 molecules of the size of drugs, by CREST and GFN2-xTB.

Source: Axelrod & Gomez-Bombarelli 2022, https://doi.org/10.1038/s41597-022-01288-4. Nothing is downloaded; `path` says
which files are read.
"""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _conformer_array, _molecules, _pickled_geom
from reedbench.datasets._conformer_array import CONFORMERS, PERMUTATION
from reedbench.datasets._molecule_sources import Record, Source
from reedbench.datasets._molecules import AbstractDealtOut
from reedbench.domains.molecule import Molecule


class GeomDrugs(AbstractDealtOut):
    """Conformers in the order of the files, named by split and entry (MiDi), or by place (EDM)."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"trust_pickles"})  # there are no rows without it
    cites: ClassVar[tuple[str, ...]] = ("axelrod2022geom", "vignac2023midi", "hoogeboom2022edm")
    uses: Literal["geom-drugs"] = "geom-drugs"

    path: str = "geom-drugs"
    """A folder, from the working directory or $REEDBENCH_DATA, with the files that `format` names."""
    format: Literal["midi", "edm"] = "midi"
    """`midi`: `train_data.pickle`, `val_data.pickle` and `test_data.pickle` of MiDi, which SemlaFlow and REED train on,
    split by molecule, with bonds. `edm`: `geom_drugs_30.npy` and `geom_permutation.npy` as EDM's build_geom_dataset.py
    makes them, without bonds."""
    trust_pickles: bool = False
    """A pickle can run any code of whoever made it. MiDi's are read only where this is said, and once, in a process
    of its own that knows no name but that of RDKit's molecule and nothing of this one's environment; what it finds is
    written as plain arrays into work/parts/convert/ (some 20 bytes an atom), which are read from then on."""
    conformers: int = Field(1, ge=1)
    """First conformers of every entry of MiDi's pickles; SemlaFlow and REED take the first alone."""
    bonds: Literal["file", "distances", "rdkit"] = "file"
    """Bonds of MiDi's molecules, by EDM's rule of distances, or derived by RDKit from the places of the atoms
    (molecules for which it finds none are left out)."""
    split: Literal["reference", "dealt"] = "reference"
    """`reference`: MiDi's files, or EDM's permutation, which puts conformers of one molecule on several sides. `dealt`:
    by molecule, in the shares below; of EDM's conformers a molecule is what has one SMILES under `bonds`."""
    graphs: Literal["complete", "sanitised", "any"] = "sanitised"
    """Molecules that stay: those that RDKit sanitises and finds no hydrogen missing in, those that it sanitises, or all
    (the references); one that it does not sanitise has an empty SMILES and its bonds as they are."""
    fragments: Literal["one", "largest", "any"] = "any"
    """Of records with several fragments that no bond joins: `one` leaves them out, `largest` keeps the one with the
    most atoms (of equal ones the first), `any` keeps all as one molecule, as the references do."""

    @model_validator(mode="after")
    def _settings_have_an_effect(self) -> "GeomDrugs":
        if self.split == "reference":
            self.refuse("test_share", "valid_share", "split_seed", where="with split: reference", cure="say dealt")
        if self.format == "edm":
            self.refuse("trust_pickles", "conformers", where="with format: edm")
            if self.bonds == "file":
                raise ValueError("format: edm has no bonds, and bonds: file takes them there; say distances or rdkit")
        return self

    def cited(self) -> tuple[str, ...]:
        """The data, and who made the files."""
        data, midi, edm = self.cites
        return (data, midi if self.format == "midi" else edm, *self.papers)

    def files(self) -> tuple[Path, ...]:
        """Those of the format.

        Raises:
            ConfigError: one is absent.
        """
        folder = paths.external(self.path)
        if self.format == "midi":
            names = tuple(_pickled_geom.FILES.values())
        else:
            names = (CONFORMERS, *([PERMUTATION] if self.split == "reference" else []))
        for name in names:
            if not (folder / name).is_file():
                raise ConfigError(
                    f"dataset {self.id}: path: no such file: {folder / name}; format {self.format} needs "
                    f"{', '.join(names)} (relative paths start from the working directory or $REEDBENCH_DATA)"
                )
        return tuple(folder / name for name in names)

    def opened(self) -> Source:
        """The files of the format.

        Raises:
            ConfigError: one is absent or damaged, or they are pickles that nobody said to trust.
        """
        folder = self.files()[0].parent
        if self.format == "midi" and not self.trust_pickles:
            raise ConfigError(
                f"{folder / _pickled_geom.FILES['train']} is a pickle, which can run any code: say "
                "`trust_pickles: true` if you trust where it comes from"
            )
        if self.format == "midi":
            return _pickled_geom.Pickled(self.id, folder, self.conformers)
        return _conformer_array.Conformers(folder, reference_split=self.split == "reference")

    def bonded(self, found: Molecule) -> Molecule | None:
        """With bonds as `bonds` says."""
        return _molecules.with_bonds(found, self.bonds)

    def split_of(self, record: Record, key: str) -> str:
        """That of the reference, or by the digest of the molecule's key."""
        return record.split if self.split == "reference" else super().split_of(record, key)
