"""Where a step runs. Snakemake decides what; the launcher decides where: for now in its own process."""
