"""Provenance sidecars: beside every artefact stands `<name>.prov.json`, which says what it was made from and how.

`verify` walks the chain back to the raw data and names the first file that is not what its sidecar says.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact

PACKAGES = (
    "reedbench",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch-fidelity",
    "timm",
    "rdkit",
    "fair-esm",
    "pandas",
)


def sidecar(path: Path | str) -> Path:
    """`x.csv` -> `x.csv.prov.json`; a folder's sidecar stands beside the folder."""
    path = Path(path)
    return path.with_name(f"{path.name}.prov.json")


@dataclass
class Made:
    """What a step read and wrote, and what it wants remembered about the making."""

    outputs: list[str]
    inputs: list[str] = field(default_factory=list)
    device: str = "cpu"
    device_seconds: float | None = None
    flops: float | None = None
    notes: dict[str, Any] = field(default_factory=dict)


class Recorder:
    """Measures one step from construction to `record`, and writes the sidecars of its outputs."""

    def __init__(self, verb: str, version: int, settings: Any, command: list[str]) -> None:
        self.verb, self.version, self.settings, self.command = verb, version, settings, command
        self.wall = time.monotonic()

    def record(self, made: Made) -> None:
        """Write one sidecar per output, last of all: one that is absent or disagrees means "not finished"."""
        seconds = time.monotonic() - self.wall
        usage = resource.getrusage(resource.RUSAGE_SELF)
        body = {
            "step": self.verb,
            "version": self.version,
            "settings": io.digest_of(self.settings),
            "command": self.command,
            "inputs": {path: io.sha256(path) for path in made.inputs},
            "device": made.device,
            "seconds": round(seconds, 3),
            "device_seconds": round(seconds if made.device_seconds is None else made.device_seconds, 3),
            # Since process start: imports are part of what a job costs.
            "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
            "max_rss_mb": usage.ru_maxrss // 1024,
            "flops": made.flops,
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
            "notes": made.notes,
            "git": _git_state(),
            "packages": _packages(),
            "python": platform.python_version(),
            "host": platform.node(),
        }
        for position, path in enumerate(made.outputs):
            # One job, one cost: siblings carry everything but the costs, so that a sum over sidecars is right.
            costs = {} if position == 0 else {"cost_of": made.outputs[0]}
            io.write_json(sidecar(path), {"file": Path(path).name, "sha256": io.sha256(path), **body, **costs})


def read(path: Path | str) -> dict[str, Any]:
    """The sidecar of an artefact.

    Raises:
        MissingArtefact: the artefact has none.
    """
    mark = sidecar(path)
    if not mark.exists():
        raise MissingArtefact(f"{path}: has no provenance file {mark.name}; make it with reedbench, or rerun its step")
    record: dict[str, Any] = io.read_json(mark)
    return record


def costs(folder: Path | str) -> Iterator[dict[str, Any]]:
    """All cost-bearing sidecars under a folder (one per job), in path order."""
    for mark in sorted(Path(folder).rglob("*.prov.json")):
        record = io.read_json(mark)
        if "step" in record and "cost_of" not in record:  # the record of a cache is no job
            yield record


def verify(path: Path | str) -> Iterator[str]:
    """Walk the chain of inputs back from `path`; yield one line per file that was checked.

    Raises:
        MissingArtefact: a file differs from its sidecar, or from what a later step read.
    """
    waiting: list[tuple[str, str | None, str]] = [(str(path), None, "")]
    seen: set[str] = set()
    while waiting:
        current, expected, reader = waiting.pop()
        if expected is not None and (actual := io.sha256(current)) != expected:
            raise MissingArtefact(
                f"{current}: changed since {reader} read it (sha256 {actual[:12]}, was {expected[:12]}); rerun {reader}"
            )
        if current in seen:
            continue
        seen.add(current)
        if sidecar(current).exists():
            record = read(current)
            if (actual := io.sha256(current)) != record["sha256"]:
                raise MissingArtefact(
                    f"{current}: not the file that step {record['step']} wrote (sha256 {actual[:12]})"
                )
            waiting += [(file, digest, current) for file, digest in record["inputs"].items()]
            yield f"{current}: {record['step']} v{record['version']}, {len(record['inputs'])} inputs"
        elif reader and _is_source(current):
            yield f"{current}: source"
        else:
            raise MissingArtefact(
                f"{current}: has no provenance file {sidecar(current).name}; rerun the step that makes it"
            )


def _is_source(path: str) -> bool:
    """Made by no step: outside the results, or a recipe. A file in a published folder is vouched for by the folder."""
    outside = paths.RESULTS not in Path(path).parts
    return outside or Path(path).name == "config.json" or sidecar(Path(path).parent).exists()


def _packages() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@cache
def _git_state() -> dict[str, Any]:
    """Commit and dirtiness of the reedbench sources (not of the user's working directory)."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    return {
        "commit": commit,
        "dirty": None if commit is None else bool(git("status", "--porcelain", "--", str(here.parent))),
    }


def command_line() -> list[str]:
    """How this process was started, with the program's name instead of its full path."""
    return [Path(sys.argv[0]).name, *sys.argv[1:]]


def total(records: Iterable[dict[str, Any]], field_name: str) -> float:
    """Sum of one cost over sidecars; a job that did not measure it counts as zero."""
    return float(sum(record.get(field_name) or 0.0 for record in records))
