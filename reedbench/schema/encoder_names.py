"""How encoders that are trained per seed are filed: `patches.seed0` is the encoder `patches` of training seed 0."""

import re

SEEDED = re.compile(r"(.+)\.seed(\d+)")


def filed(name: str, seed: int | str | None) -> str:
    """The name of the encoder of a seed, or of Snakemake's wildcard for one."""
    return f"{name}.seed{seed}"


def parted(name: str) -> tuple[str, int | None]:
    """`patches.seed0` -> `patches` and 0; the name of an encoder that is the same for all seeds has none."""
    found = SEEDED.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)
