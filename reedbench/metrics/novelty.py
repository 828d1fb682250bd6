"""New molecules: share of valid samples whose SMILES the training data lack.

Both sides are canonical SMILES without stereo and explicit hydrogens, in which hydrogens that are missing stay so: a
sample that lacks some is not the whole molecule that is known. SemlaFlow compares SMILES of training molecules that
have stereo with those of samples that have none (util/metrics.py:202-226 @2f41e57), and EDM's REED branch knows half of
the training molecules alone: both report more novelty than there is.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from reedbench.core import io, paths
from reedbench.core.errors import ConfigError, MetricError
from reedbench.core.ragged import Texts
from reedbench.domains import molecule_graphs
from reedbench.metrics import Evidence, _molecules
from reedbench.metrics._molecules import GraphMetric


class Novelty(GraphMetric):
    """Samples that are not in the training split, or in a file of SMILES, over valid samples."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Literal["lower", "higher"]] = "higher"
    title: ClassVar[str] = "New among valid molecules"
    cites: ClassVar[tuple[str, ...]] = ("irwin2024semlaflow",)
    uses: Literal["novelty"] = "novelty"

    among: Literal["valid", "distinct"] = "valid"
    """Of what a share is taken: of all valid samples, as SemlaFlow does, or of their distinct SMILES, as EDM does."""
    file: str = ""
    """Take the known molecules from this file in place of the training split: one SMILES per line, before any white
    space; it may end in .gz. Settings know it by its path, records by its content too: one that has changed under its
    old name evaluates nothing anew, and no table mixes what was measured with both. Give it another name."""

    def in_words(self, name: str, value: object) -> str:
        """A setting that is not the default, in plain words."""
        return {"among": "of distinct ones", "file": f"against {Path(self.file).name}"}.get(name, "")

    def files(self) -> tuple[Path, ...]:
        """The file of known molecules.

        Raises:
            ConfigError: there is none.
        """
        if not self.file:
            return ()
        if not (path := paths.external(self.file)).is_file():
            raise ConfigError(
                f"{self.family}: file: no such file: {path}; relative paths start from the working directory or "
                "$REEDBENCH_DATA"
            )
        return (path,)

    def protocol(self) -> dict[str, Any]:
        """With the content of the file."""
        digests = [io.sha256(file) for file in self.files()]
        return {**super().protocol(), **({"file_sha256": digests[0]} if digests else {})}

    def measured(self, evidence: Evidence) -> float:
        """A share between 0 and 1.

        Raises:
            NoValue: no sample is valid.
            MetricError: the training rows have no SMILES.
            ConfigError: the file is absent, or holds something else than SMILES.
        """
        known = evidence.shared(_known, *self.files())
        found = _molecules.smiles(evidence, self.graph)
        asked = set(found) if self.among == "distinct" else found
        return sum(text not in known for text in asked) / len(asked)


def _known(evidence: Evidence, file: Path | None = None) -> frozenset[str]:
    """SMILES of a file, or of the training split."""
    if file is not None:
        return frozenset(_read(file))
    training = evidence.training()
    if "smiles" not in training.arrays:
        raise MetricError("novelty: the rows of this dataset have no SMILES; give a file of them")
    known = training.arrays["smiles"]
    return frozenset(Texts(known.values, known.lengths).strings())


def _read(file: Path) -> Iterator[str]:
    try:
        opened = gzip.open(file, "rt", encoding="ascii") if file.suffix == ".gz" else file.open(encoding="ascii")
        with opened as lines:
            for number, line in enumerate(lines, 1):
                if words := line.split():
                    yield _canonical(words[0], f"{file}: line {number}")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); put a file with one SMILES per line there") from error


def _canonical(text: str, where: str) -> str:
    try:
        return molecule_graphs.canonical(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; take the line out") from error
