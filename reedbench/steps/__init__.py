"""Steps: one public function per verb, and `main(argv)` that runs one of them with provenance and exit codes.

Steps are the only functions that touch both the disk and the maths. They know neither Snakemake nor Slurm.
"""

from reedbench.steps.runner import main

__all__ = ["main"]
