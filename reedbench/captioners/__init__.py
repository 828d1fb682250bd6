"""Captioners: datum -> text, the second modality that REED reads from each image. One file each."""

from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from reedbench.core.plugins import Plugin
from reedbench.domains.rows import Rows


class AbstractCaptioner(Plugin):
    """Writes one caption per row."""

    domain: ClassVar[str]

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads: their digests are part of the provenance."""
        return ()

    @abstractmethod
    def captions(self, rows: Rows) -> list[str]:
        """One text per row, in row order."""
