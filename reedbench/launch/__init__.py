"""Where a step runs. Snakemake decides what; the launcher decides where: here, in a local process, or on Slurm.

Two hundred launchers wait side by side on a login node, so that what a launcher loads is light: no typer, no pydantic,
and nothing of the steps unless they run in its process. `status`, `progress` and `leftovers` are no part of a launcher.
"""
