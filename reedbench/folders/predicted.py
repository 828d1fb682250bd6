"""Structures that were predicted elsewhere: one npz file per sequence, named by the sequence's sha256."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from reedbench.core import io, paths
from reedbench.core.errors import MetricError, MissingArtefact
from reedbench.domains.superposition import FULL_PLDDT
from reedbench.folders import AbstractFolder, Prediction


class Predicted(AbstractFolder):
    """A folder of predictions, for machines that cannot fold."""

    uncited: ClassVar[str] = "predictions of the user's, which `protocol` names"
    uses: Literal["predicted"] = "predicted"

    folder: str
    """Folder of <sha256 of the letters, X read as A>.npz (from the working directory or $REEDBENCH_DATA), with arrays
    `coordinates` (length, 3, 3), N, CA, C in Angstrom, and `plddt`, 0 to 100: one number, or one per residue, of which
    the mean is taken."""
    protocol: str = ""
    """What predicted them, name and version: all that tells two sets of predictions apart."""

    def missing(self) -> str | None:
        """The folder is not there."""
        if not self._path().is_dir():
            return f"no folder of predicted structures at {self.folder}; put the npz files there"
        return None

    def predict(self, sequences: Sequence[str], device: str) -> Iterator[Prediction]:
        """Read the files.

        Raises:
            MissingArtefact: some sequences have no file (their number and the first are named), or one is damaged or
                lacks an array.
            MetricError: an array holds something else.
        """
        files = [self._path() / name_of(sequence) for sequence in sequences]
        if absent := [(file, sequence) for file, sequence in zip(files, sequences, strict=True) if not file.is_file()]:
            file, sequence = absent[0]
            raise MissingArtefact(
                f"{len(absent)} of {len(files)} sequences have no predicted structure; the first is {sequence}: "
                f"fold it and put it at {file}"
            )
        for file, sequence in zip(files, sequences, strict=True):
            arrays = io.read_npz(file, ("coordinates", "plddt"), cure="fold this sequence again")
            plddt = arrays["plddt"].squeeze()
            if any(array.dtype.kind not in "fiu" for array in arrays.values()):
                raise MetricError(f"{file}: `coordinates` and `plddt` must be numbers")
            if plddt.shape not in ((), (len(sequence),)):
                raise MetricError(
                    f"{file}: `plddt` has shape {arrays['plddt'].shape}; it must be one number, or one for each of "
                    f"{len(sequence)} residues"
                )
            if not ((plddt >= 0) & (plddt <= FULL_PLDDT)).all():
                raise MetricError(f"{file}: `plddt` goes from {plddt.min():g} to {plddt.max():g}, not from 0 to 100")
            if plddt.shape and 0 < plddt.max() <= 1:
                raise MetricError(f"{file}: `plddt` is 0 to 1 in every residue; write 0 to 100")
            yield arrays["coordinates"], float(plddt.mean(dtype=np.float64))

    def _path(self) -> Path:
        return paths.external(self.folder)


def name_of(sequence: str) -> str:
    """File name of a sequence's prediction."""
    return f"{hashlib.sha256(sequence.encode()).hexdigest()}.npz"
