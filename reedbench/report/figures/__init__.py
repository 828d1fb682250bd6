"""The figures of a benchmark, one file each, named after it: `draw(source, facts, stem)` writes it and its numbers.

A figure is drawn from a `Source` alone and leaves what it shows beside it as CSV. `facts` holds the words of the report
(`steps.gather.facts`) and `codec`, which knows how data look. The names stand in `schema.versions.FIGURES`.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from reedbench.core.errors import ConfigError, unknown
from reedbench.report.source import Source
from reedbench.schema.versions import FIGURES


def draw(name: str, source: Source, facts: Mapping[str, Any], stem: Path | str) -> list[str]:
    """Draw a figure; returns its files, the PDF first.

    Raises:
        ConfigError: there is no such figure.
        MetricError: the benchmark has nothing to show in it.
    """
    if name not in FIGURES:
        raise ConfigError(unknown("figure", name, FIGURES))
    files: list[str] = import_module(f"{__name__}.{name}").draw(source, facts, stem)
    return files
