"""What steps there are, with one integer each, and what figures.

Raise a step's integer when its results change: it is how Snakemake sees a change of package code.
"""

VERSIONS = {
    "prepare": 1,
    "caption": 1,
    "pretrain": 1,
    "represent": 1,
    "train": 1,
    "sample": 1,
    "evaluate": 1,
    "tabulate": 1,
    "plot": 2,
    "smoke": 1,
}
FIGURES = ("speedup", "samples", "alignment", "levels")
LEVELLED = r".*@[01]\.\d+"  # metrics that are taken at a time, such as `masked-perplexity@0.5`
