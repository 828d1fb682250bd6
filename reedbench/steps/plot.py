"""plot: metric records, curves and previews -> results/figures/<b>/<figure>.pdf, .svg, .png and .csv."""

from argparse import Namespace

from reedbench.core import paths
from reedbench.core.provenance import Made
from reedbench.report.figures import FIGURES
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.gather import facts, load, with_baseline


def plot(suite: Suite, arguments: Namespace) -> Made:
    """Draw one figure of the methods of the table."""
    b = arguments.benchmark
    methods = settings.shown(suite, b, None)
    source, inputs = load(suite, b, with_baseline(suite, b, methods), cache=arguments.cache, previews=True)
    figure = paths.cached_figure if arguments.cache else paths.figure
    return Made(FIGURES[arguments.figure](source, facts(suite, b, None), figure(b, arguments.figure)), inputs)
