"""What `reedbench list` prints: one line per thing, the name first."""

from collections.abc import Callable, Iterator

from reedbench.core import pins, plugins
from reedbench.core.errors import MissingArtefact
from reedbench.schema import papers, runs
from reedbench.schema import targets as targets_of
from reedbench.schema.suite import Suite


def plugin_lines(kind: str) -> Iterator[str]:
    """Plugins of a kind with the first line of their documentation."""
    for name, plugin in plugins.discover(kind).items():
        yield f"{name}\t{(plugin.__doc__ or '').strip().splitlines()[0]}"


def benchmarks(suite: Suite) -> Iterator[str]:
    """Benchmarks with domain, backbone and title."""
    for name, b in suite.benchmarks.items():
        yield f"{name}\t{b.dataset.domain}, {b.backbone.name()}: {b.title}"


def methods(suite: Suite) -> Iterator[str]:
    """Methods of every benchmark with their labels."""
    for name, b in suite.benchmarks.items():
        for method, objective in b.methods.items():
            place = "table" if method in b.table else "ablation"
            yield f"{name}/{method}\t{objective.label} ({place})"


def targets(suite: Suite) -> Iterator[str]:
    """What Snakemake can be asked for: all at once, tables and figures, single cells, and what these are made of.

    Of seeds, steps and segments those of the benchmarks' own tables; others can be asked for as well.
    """
    of_papers = ["paper"] if papers.outputs() else []
    yield from ("all", "tables", "figures", *of_papers, "images", "fetch", "smoke")
    for pattern in targets_of.patterns(suite):
        yield from pattern.expanded()


def weights(suite: Suite) -> list[list[str]]:
    """Rows of a table of the pinned weights: name, purpose, size, licence, who reads them, whether they are here."""
    rows = [["weights", "for", "MB", "licence", "read by", "here"]]
    users = {b: runs.benchmark(suite, b).weights for b in suite.benchmarks}
    for name, weight in suite.weights.items():
        readers = ", ".join(b for b, names in users.items() if name in names)
        rows.append([name, weight.purpose, str(weight.size_mb), weight.licence, readers, _here(name)])
    return rows


def _here(name: str) -> str:
    try:
        pins.card(name)
    except MissingArtefact:
        return "no"
    return "yes"


OF_SUITE: dict[str, Callable[[Suite], Iterator[str]]] = {
    "benchmarks": benchmarks,
    "methods": methods,
    "targets": targets,
}
