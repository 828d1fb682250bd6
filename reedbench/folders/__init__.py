"""Folders: where predicted structures of designed sequences come from. One file each.

A folder that cannot run here says why (`missing`), and metrics that need it carry the reason in place of a value.
"""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from reedbench.core import residues
from reedbench.core.console import Track
from reedbench.core.errors import MetricError
from reedbench.core.plugins import Plugin
from reedbench.core.ragged import Ragged
from reedbench.core.residues import ALPHABET, UNKNOWN
from reedbench.domains.rows import Rows
from reedbench.domains.superposition import FULL_PLDDT, Folds

FOLDED_AS = "A"  # what X becomes, as in REED's evaluation, protein/fmif @0a4527e
Prediction = tuple[np.ndarray, float]  # (length, 3, 3) N, CA, C in Angstrom; mean pLDDT, 0 to 100


class AbstractFolder(Plugin):
    """Predicts the backbone of single chains from their sequence."""

    domain: ClassVar[str] = "protein"

    threads: int = Field(1, ge=1)
    """CPU threads of its use; part of its settings because sums in another order round differently."""

    def files(self) -> tuple[Path, ...]:
        """Files or folders from outside that it reads, where it can run: their digests are part of the provenance."""
        return ()

    @abstractmethod
    def missing(self) -> str | None:
        """Why it cannot run here, in one line that says what to do; None where it can."""

    @abstractmethod
    def predict(self, sequences: Sequence[str], device: str) -> Iterable[Prediction]:
        """Structures of different sequences without X, in order.

        Args:
            sequences: letters.
            device: `cpu` or `cuda`.
        """

    def fold(self, samples: Rows, device: str) -> Folds:
        """Structures of designs (`tokens` of `domains.protein`), in their order."""
        return self.fold_sequences([residues.letters(row) for row in samples.arrays["tokens"]], device)

    def fold_sequences(self, sequences: Sequence[str], device: str) -> Folds:
        """Structures of designed sequences; equal ones are folded once.

        X, which also stands where nothing was designed, is folded as alanine: lengths stay as they are.

        Raises:
            MetricError: a prediction has a shape or a number that none can have.
        """
        asked = [sequence.replace(ALPHABET[UNKNOWN], FOLDED_AS) for sequence in sequences]
        different = list(dict.fromkeys(asked))
        found: dict[str, Prediction] = {}
        with Track(f"fold with {self.uses}", len(different), unit="sequence") as track:
            for sequence, prediction in zip(different, self.predict(different, device), strict=True):
                found[sequence] = self._checked(sequence, *prediction)
                track.update(len(found))
        rows = [found[sequence] for sequence in asked]
        return Folds(Ragged.of([row[0] for row in rows]), np.array([row[1] for row in rows]))

    def _checked(self, sequence: str, coordinates: np.ndarray, plddt: float) -> Prediction:
        what = f"folder {self.uses}: its prediction for {_short(sequence)}"
        if coordinates.ndim != 3 or coordinates.shape[1:] != (3, 3):
            raise MetricError(f"{what} has coordinates of shape {coordinates.shape}, not (length, 3, 3) for N, CA, C")
        if not np.isfinite(coordinates).all():
            raise MetricError(f"{what} lacks N, CA or C of residue {_first_bad(coordinates)}")
        if not 0 <= plddt <= FULL_PLDDT:
            raise MetricError(f"{what} has a mean pLDDT of {plddt}, and it goes from 0 to 100")
        return coordinates.astype(np.float32), float(plddt)


def _first_bad(coordinates: np.ndarray) -> int:
    return int(np.argmin(np.isfinite(coordinates).all(axis=(1, 2)))) + 1


def _short(sequence: str) -> str:
    return sequence if len(sequence) <= 20 else f"{sequence[:20]}... ({len(sequence)} residues)"
