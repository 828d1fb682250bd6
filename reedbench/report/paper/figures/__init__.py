"""The figures of `snakemake paper`, one file each, named after it: `draw(rows, own, paper, stem)` writes it and its
numbers as csv beside it.

Papers' numbers are open marks, those read off a figure have a dot inside; own results are filled.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from reedbench.core.errors import ConfigError, unknown
from reedbench.report.paper.figures.marks import OWN
from reedbench.report.paper.own import OwnCell
from reedbench.schema.paper import Paper
from reedbench.schema.published_row import Published

__all__ = ("NAMES", "OWN", "draw")

NAMES: Final = ("curves", "reruns", "frontier")  # of which `schema.paper.Paper.drawn` says which there are


def draw(name: str, rows: Sequence[Published], own: Sequence[OwnCell], paper: Paper, stem: Path | str) -> list[str]:
    """Draw a figure; returns its files, the PDF first.

    Args:
        name: which.
        rows: everything that papers print (`report.published.load()`).
        own: own results (`own.read`), none or some.
        paper: config/paper.yaml.
        stem: where to, without a suffix.

    Raises:
        ConfigError: there is no such figure, or config/paper.yaml asks for numbers that there are not.
        MetricError: config/paper.yaml has nothing to show in it.
    """
    if name not in NAMES:
        raise ConfigError(unknown("figure", name, NAMES))
    files: list[str] = import_module(f"{__name__}.{name}").draw(rows, own, paper, stem)
    return files
