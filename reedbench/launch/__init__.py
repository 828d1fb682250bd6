"""Where a step runs. Snakemake decides what; the launcher decides where: here, in a local process, or on Slurm.

Two hundred launchers wait side by side on a login node, so that modules here start light: no typer, no pydantic, and
nothing of the steps unless they run in this process.
"""
