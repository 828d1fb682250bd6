"""Captioners: datum -> text, the second modality that REED reads from each image. One file each."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from reedbench.core.parts import BYTES
from reedbench.core.plugins import Plugin
from reedbench.domains.rows import Rows


class AbstractCaptioner(Plugin):
    """Writes one caption per row."""

    domain: ClassVar[str]
    tells_classes: ClassVar[bool] = False  # whether captions say the labels of rows
    on_gpu: ClassVar[bool] = False  # whether `prepared` computes on a GPU where it is told to
    # Bytes of rows that it is shown at once: in float64, and with what most make of them, many more.
    at_once: ClassVar[int] = BYTES // 8

    def files(self) -> tuple[Path, ...]:
        """Files from outside that it reads: their digests are part of the provenance."""
        return ()

    @abstractmethod
    def captions(self, rows: Rows) -> list[str]:
        """One text per row, in row order."""

    def prepared(self, device: str = "cpu") -> Callable[[Rows], list[str]]:
        """`captions` for any rows; one that reads a file of weights does so here, once in each process.

        `device` is `cpu`, or `cuda` for a captioner that is `on_gpu`.
        """
        return self.captions
