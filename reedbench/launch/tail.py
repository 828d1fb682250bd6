"""The ends of files that other processes are writing: whole or not, there or not."""

import os
import re
from pathlib import Path

LENGTH = 16384
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# What Slurm and submitit add around the words of a step; they come last, and hide why it failed.
NOISE = re.compile(r"submitit (INFO|WARNING) |srun: |slurmstepd|\S*/slurm_script: ")


def tail(file: Path) -> list[str]:
    """The last lines of a file, the first of them perhaps cut; none if it cannot be read."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - LENGTH))
            return opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def last_line(*files: Path) -> str | None:
    """The last words of a step, in the first of its logs that has some."""
    for file in files:
        for line in reversed(tail(file)):
            words = "".join(c if c.isprintable() else " " for c in ESCAPES.sub("", line)).strip()
            if words and not NOISE.match(words):
                return words
    return None


def written(*files: Path) -> float:
    """When one of these files was last written to; 0 if none is there."""
    times = [0.0]
    for file in files:
        try:
            times.append(file.stat().st_mtime)
        except OSError:
            continue
    return max(times)
