"""plot: metric records, curves and previews -> results/figures/<b>/, a .pdf, .svg, .png and .csv each."""

from argparse import Namespace

from reedbench.core import paths
from reedbench.core.provenance import Made
from reedbench.report import figures
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.gather import facts, load, with_baseline


def plot(suite: Suite, arguments: Namespace) -> Made:
    """Draw one figure of the methods of the table, or of an ablation."""
    b, ablation = arguments.benchmark, arguments.ablation
    methods = settings.shown(suite, b, ablation)
    source, inputs = load(suite, b, with_baseline(suite, b, methods), cache=arguments.cache, previews=True)
    words = {**facts(suite, b, ablation), "codec": suite.benchmark(b).codec, "cached": arguments.cache}
    place = paths.cached_figure if arguments.cache else paths.figure
    stem = place(b, arguments.figure, ablation=ablation)
    return Made(figures.draw(arguments.figure, source, words, stem), inputs)
