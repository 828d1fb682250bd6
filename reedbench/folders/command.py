"""Any program that folds: it is given a FASTA file and a folder, and leaves one PDB file per sequence there."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import field_validator

from reedbench.core.errors import MetricError
from reedbench.domains.superposition import FULL_PLDDT
from reedbench.folders import AbstractFolder, Prediction

NEEDED = ("{fasta}", "{out}")
ATOMS = ("N", "CA", "C")
LAST_LINES = 5  # of a failed program's standard error that are shown


class Command(AbstractFolder):
    """A folding program of your own, run once for all sequences of a cell."""

    uncited: ClassVar[str] = "a program of the user's, which `protocol` names"
    uses: Literal["command"] = "command"

    command: str
    """Its command line, run without a shell: `{fasta}` is the file of sequences, named 0, 1, ...; `{out}` is the folder
    where it must leave 0.pdb, 1.pdb, ... with pLDDT as B-factors; `{device}`, if it stands there, is cpu or cuda."""
    full_plddt: Literal[1, 100] = 100
    """The largest pLDDT that the program writes: 100, or 1 where it writes shares."""
    protocol: str = ""
    """Name and version of the program and its weights: all that tells two of its versions apart."""

    @field_validator("command")
    @classmethod
    def _complete(cls, command: str) -> str:
        try:
            parts = shlex.split(command)
        except ValueError as error:
            raise ValueError(f"not a command line ({error})") from error
        if absent := [name for name in NEEDED if not any(name in part for part in parts)]:
            raise ValueError(f"must contain {' and '.join(absent)}, such as: fold --fasta {{fasta}} --to {{out}}")
        return command

    def missing(self) -> str | None:
        """The program is not there."""
        program = shlex.split(self.command)[0]
        if shutil.which(program) is None:
            return f"folding command: no program '{program}' is on PATH; install it or correct `command`"
        return None

    def predict(self, sequences: Sequence[str], device: str) -> Iterator[Prediction]:
        """Run the program and read what it leaves.

        Raises:
            MetricError: it cannot be started, fails, or leaves out a sequence or an atom.
        """
        with tempfile.TemporaryDirectory(prefix="reedbench-fold-") as name:
            fasta, out = Path(name) / "sequences.fasta", Path(name) / "out"
            out.mkdir()
            fasta.write_text("".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)))
            self._run({"{fasta}": str(fasta), "{out}": str(out), "{device}": device})
            for i in range(len(sequences)):
                yield self._read(out / f"{i}.pdb")

    def _run(self, values: dict[str, str]) -> None:
        parts = shlex.split(self.command)
        for name, value in values.items():
            parts = [part.replace(name, value) for part in parts]
        try:
            done = subprocess.run(
                parts, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": str(self.threads)},
            )  # fmt: skip
        except OSError as error:  # a script without its first line `#!...`, or a program for another machine
            raise MetricError(f"folding command cannot be started ({error.strerror}): {shlex.join(parts)}") from error
        if done.returncode:
            last = " | ".join(done.stderr.strip().splitlines()[-LAST_LINES:]) or "nothing on standard error"
            raise MetricError(f"folding command ended with {done.returncode}: {shlex.join(parts)}: {last}")

    def _read(self, file: Path) -> Prediction:
        """N, CA, C of every residue, and the mean B-factor of all atoms but hydrogen."""
        from biotite.structure import get_residue_starts
        from biotite.structure.io.pdb import PDBFile

        if not file.is_file():
            raise MetricError(f"folding command left no {file.name} in {{out}}: one file per sequence, by its number")
        try:
            atoms = PDBFile.read(file).get_structure(model=1, extra_fields=["b_factor"])
        except Exception as error:  # parsers raise whatever a damaged file leads them to
            reason = f"{type(error).__name__}: {error}"
            raise MetricError(f"folding command: {file.name} is not a PDB file ({reason})") from error
        atoms = atoms[(atoms.element != "H") & ~atoms.hetero]
        starts = get_residue_starts(atoms)
        residue = np.searchsorted(starts, np.arange(len(atoms)), side="right") - 1
        coordinates = np.full((len(starts), len(ATOMS), 3), np.nan)  # the caller names the residue that stays so
        for column, atom in enumerate(ATOMS):
            chosen = atoms.atom_name == atom
            coordinates[residue[chosen], column] = atoms.coord[chosen]
        return coordinates, self._plddt(atoms.b_factor.astype(np.float64), file)

    def _plddt(self, values: np.ndarray, file: Path) -> float:
        if not len(values) or not 0 <= values.min() <= values.max() <= self.full_plddt:
            found = f"{values.min():g} to {values.max():g}" if len(values) else "no atom"
            raise MetricError(
                f"folding command: B-factors of {file.name} are {found}, not pLDDT 0 to {self.full_plddt}"
            )
        if self.full_plddt == FULL_PLDDT and 0 < values.max() <= 1:
            raise MetricError(f"folding command: B-factors of {file.name} are 0 to 1: say `full_plddt: 1`")
        return float(values.mean()) * FULL_PLDDT / self.full_plddt
