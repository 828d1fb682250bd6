"""What the workflow must know of `snakemake paper`: what it reads, what it makes, and what it is made anew for."""

from pathlib import Path

from reedbench.core import io, paths
from reedbench.schema import paper, runs
from reedbench.schema.suite import Suite


def inputs() -> list[str]:
    """Files that hold the papers' numbers, and what is made of them."""
    return [paths.PAPER, *map(str, sorted(Path(paths.REFERENCE).glob("*.csv")))]


def outputs() -> list[str]:
    """Everything that it makes; nothing where there is no config/paper.yaml.

    Raises:
        ConfigError: the file is faulty.
    """
    return paper.read().outputs if Path(paths.PAPER).exists() else []


def own_results(suite: Suite) -> dict[str, str]:
    """Digests of own results that are there, by file: metrics evaluated here, and records of committed caches.

    They are no inputs, as Snakemake would see to it that these are up to date, and train for it.

    Raises:
        ConfigError: the file is faulty, or names a benchmark that there is not.
    """
    files: list[str] = []
    for name, one in paper.read().measured.items():
        files += [paths.cache_record(name), *(cell.metrics for cell in runs.benchmark(suite, name).cells(one.methods))]
    return {file: io.sha256(file) for file in dict.fromkeys(files) if Path(file).exists()}
