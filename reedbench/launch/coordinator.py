"""The workflow that a launcher works for. Without it a launcher must not publish.

Killing Snakemake with -9 leaves its shells and launchers running. Were they to publish, Snakemake's next run would find
outputs that it never saw finished, delete them and have them made again.
"""

import os
from pathlib import Path

from reedbench.launch.processes import Process

LEVELS = 4  # Snakemake, the shell of the rule, perhaps a wrapper


def coordinator() -> Process | None:
    """The nearest ancestor that is Snakemake; nothing for a launcher that was started by hand."""
    pid = os.getppid()
    for _ in range(LEVELS):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            return None
        if any(Path(os.fsdecode(word)).name == "snakemake" for word in words[:3]):
            return Process.of(pid)
        pid = parent
    return None
