"""What `reedbench list` prints: one line per thing, the name first."""

from collections.abc import Callable, Iterator

from reedbench.core import plugins
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
    yield from ("all", "tables", "figures", "images", "smoke")
    for pattern in targets_of.patterns(suite):
        yield from pattern.expanded()


OF_SUITE: dict[str, Callable[[Suite], Iterator[str]]] = {
    "benchmarks": benchmarks,
    "methods": methods,
    "targets": targets,
}
