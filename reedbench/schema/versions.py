"""Versions of the steps, and the figures that there are.

Raise a step's integer when its results change: it is how Snakemake sees a change of package code.
"""

import re
from collections.abc import Iterable

VERSIONS = {
    "fetch": 1,
    "prepare": 1,
    "caption": 1,
    "pretrain": 2,
    "compress": 1,
    "represent": 1,
    "train": 2,
    "sample": 2,
    "evaluate": 2,
    "tabulate": 5,
    "plot": 3,
    "paper": 1,
    "card": 1,
    "smoke": 1,
}
FIGURES = ("speedup", "differences", "samples", "alignment", "levels", "distributions", "landscape")
OF_ABLATIONS = ("speedup", "differences")  # figures that the target `figures` makes of every ablation too
CROWD = 5  # methods from which on `landscape` shows more than the table does
LEVELLED = re.compile(r".*@([01]\.\d+)")


def levelled(families: Iterable[str]) -> dict[str, float]:
    """Metrics that are taken at a time, such as `masked-perplexity@0.5`, and their times."""
    return {family: float(found[1]) for family in families if (found := LEVELLED.fullmatch(family))}
