"""What `reedbench list` prints: one line per thing, the name first."""

from collections.abc import Callable, Iterator

from reedbench.core import paths, plugins
from reedbench.schema import settings
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
    """Files that Snakemake can be asked for, from tables down to single cells."""
    for name, b in suite.benchmarks.items():
        yield paths.table(name)
        yield from (paths.ablation(name, ablation) for ablation in b.ablations)
        yield from (paths.figure(name, figure) for figure in settings.figures(suite, name))
        for ablation in b.ablations:
            yield from (
                paths.figure(name, figure, ablation=ablation) for figure in settings.figures(suite, name, ablation)
            )
        for cell in settings.cells(suite, name, settings.all_methods(suite, name)):
            yield paths.metrics(name, *cell)


OF_SUITE: dict[str, Callable[[Suite], Iterator[str]]] = {
    "benchmarks": benchmarks,
    "methods": methods,
    "targets": targets,
}
