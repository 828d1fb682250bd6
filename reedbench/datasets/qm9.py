"""QM9: 133,885 molecules of C, N, O, F and hydrogen with geometries and properties of B3LYP/6-31G(2df,p).

Source: Ramakrishnan et al. 2014, https://doi.org/10.1038/sdata.2014.22. Nothing is downloaded; `path` says which files
are read, and from where they come.
"""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import model_validator

from reedbench.core import paths
from reedbench.core.errors import ConfigError
from reedbench.datasets import _molecules, _qm9_files
from reedbench.datasets._molecule_sources import Record, Source
from reedbench.datasets._molecules import AbstractMolecules
from reedbench.domains.molecule import Molecule
from reedbench.domains.rows import TEST, TRAIN, VALID

LEFT_OUT = "uncharacterized.txt"
FILES = {"xyz": ("dsgdb9nsd.xyz.tar.bz2", LEFT_OUT), "sdf": ("gdb9.sdf", "gdb9.sdf.csv", LEFT_OUT)}


class Qm9(AbstractMolecules):
    """Molecules in the order of GDB, named `gdb_<number>`; those that are not characterised are left out.

    As it stands it is SemlaFlow's and REED's data; EDM's are `format: xyz`, `split: edm`, `bonds: distances`,
    `graphs: any`.
    """

    cites: ClassVar[tuple[str, ...]] = ("ramakrishnan2014qm9", "ruddigkeit2012gdb17")
    uses: Literal["qm9"] = "qm9"

    path: str = "qm9"
    """A folder, from the working directory or $REEDBENCH_DATA, with `uncharacterized.txt`
    (https://springernature.figshare.com/ndownloader/files/3195404) and what `format` names."""
    format: Literal["sdf", "xyz"] = "sdf"
    """`sdf`: `gdb9.sdf` and `gdb9.sdf.csv` of DeepChem's gdb9.tar.gz, which has bonds. `xyz`: `dsgdb9nsd.xyz.tar.bz2`,
    the authors' own (https://springernature.figshare.com/ndownloader/files/3195389)."""
    split: Literal["midi", "edm"] = "midi"
    """`midi`: 100,000 training, 20,497 valid and 13,388 test molecules, of which those that are not characterised are
    left out. `edm`: these are left out first; 100,000, 17,748 and 13,083. Three quarters of the one's test molecules
    are the other's training molecules."""
    bonds: Literal["file", "distances", "rdkit"] = "file"
    """Bonds of gdb9.sdf, by EDM's rule of distances, or derived by RDKit from the places of the atoms (molecules for
    which it finds none are left out)."""
    graphs: Literal["complete", "sanitised", "any"] = "sanitised"
    """Molecules that stay: those that RDKit sanitises and finds no hydrogen missing in, those that it sanitises (MiDi
    and SemlaFlow), or all (EDM); one that it does not sanitise has an empty SMILES and its bonds as they are."""
    fragments: Literal["one", "largest", "any"] = "any"
    """Of records with several fragments that no bond joins: `one` leaves them out, `largest` keeps the one with the
    most atoms (of equal ones the first), `any` keeps all as one molecule, as the references do."""
    properties: tuple[str, ...] | None = None
    """Properties that become columns, with their names and units in the paper; all if it is not given."""

    @model_validator(mode="after")
    def _bonds_are_there(self) -> "Qm9":
        if self.format == "xyz" and self.bonds == "file":
            raise ValueError("format: xyz has no bonds, and bonds: file takes them from there; say distances or rdkit")
        return self

    def files(self) -> tuple[Path, ...]:
        """Those of the format.

        Raises:
            ConfigError: one is absent.
        """
        folder = paths.external(self.path)
        for name in FILES[self.format]:
            if not (folder / name).is_file():
                raise ConfigError(
                    f"dataset {self.id}: path: no such file: {folder / name}; format {self.format} needs "
                    f"{', '.join(FILES[self.format])} (relative paths start from the working directory or "
                    "$REEDBENCH_DATA)"
                )
        return tuple(folder / name for name in FILES[self.format])

    def opened(self) -> Source:
        """The files of the format.

        Raises:
            ConfigError: one is absent, damaged, or another file than QM9's.
        """
        file, *others, excluded = self.files()
        splits = _qm9_files.SPLITS[self.split](_qm9_files.uncharacterised(excluded))
        if self.format == "xyz":
            return _qm9_files.Xyz(file, splits, self.properties)
        return _qm9_files.WithBonds(file, others[0], splits, self.properties)

    def bonded(self, found: Molecule) -> Molecule | None:
        """With bonds as `bonds` says."""
        return _molecules.with_bonds(found, self.bonds)

    def split_of(self, record: Record, key: str) -> str:
        """That of the reference."""
        return record.split

    def wanted(self) -> tuple[str, ...]:
        """All three."""
        return (TRAIN, VALID, TEST)
