"""What the samples of a pool are drawn for: the conditions that a benchmark scores, or the training rows themselves.

A class has any number of samples, and those that are scored serve a pool as well. Chains ask for designs of themselves:
the scored ones are of test chains, so that a pool is a cell of its own, whose sampler is called `<sampler>.train`.
"""

from typing import Final

END: Final = ".train"


def named(sampler: str) -> str:
    """The name under which a sampler draws for the training rows."""
    return f"{sampler}{END}"


def of_training(sampler: str) -> bool:
    """Whether a name is one of those."""
    return sampler.endswith(END)


def drawing(sampler: str) -> str:
    """The sampler of the benchmark that draws under a name."""
    return sampler.removesuffix(END)
