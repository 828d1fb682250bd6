"""plot: metric records, curves and previews -> results/figures/<b>/, a .pdf, .svg, .png and .csv each."""

from argparse import Namespace

from reedbench.core import paths
from reedbench.core.provenance import Made
from reedbench.report import figures
from reedbench.schema import reports
from reedbench.schema.runs import Benchmark
from reedbench.steps.gather import facts, load


def plot(benchmark: Benchmark, arguments: Namespace) -> Made:
    """Draw one figure of the methods of the table, or of an ablation."""
    ablation = arguments.ablation
    methods = reports.with_baseline(benchmark, ablation)
    source, inputs = load(benchmark, methods, cache=arguments.cache, previews=True)
    words = {**facts(benchmark, ablation), "codec": benchmark.spec.codec, "cached": arguments.cache}
    place = paths.cached_figure if arguments.cache else paths.figure
    stem = place(benchmark.name, arguments.figure, ablation=ablation)
    return Made(figures.draw(arguments.figure, source, words, stem), inputs)
