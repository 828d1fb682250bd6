"""Provenance sidecars: beside every artefact stands `<name>.prov.json`, which says what it was made from and how.

`verify` walks the chain back to the raw data and names the first file that is not what its sidecar says.
"""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from reedbench.core import io, numerics, paths
from reedbench.core.clock import Stopwatch
from reedbench.core.errors import MissingArtefact
from reedbench.core.numerics import Numerics
from reedbench.core.parts import Parts
from reedbench.core.staging import staged

JOB_VARIABLE = "REEDBENCH_JOB"  # what a launcher knows about the job that this process is, as JSON
SAID = {"step": str, "version": int, "settings": str, "sha256": str, "inputs": dict, "outputs": list, "command": list,
        "notes": dict}  # what a sidecar says at least  # fmt: skip
WITH_EDITS = " with edits"
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
    cpu_seconds: float | None = None
    """Of all processes, where there were several."""
    flops: float | None = None
    seeds: list[int] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    citations: dict[str, list[str]] = field(default_factory=dict)
    """By what was used, keys of the bibliography: `reedbench cite` reads them."""
    own_citations: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """The same of outputs that stand on less than all of them together do."""
    numerics: Numerics | None = None
    """Under which the outputs were computed, where that was not all here."""
    kept: Parts | None = None
    """What a repetition would go on from: needed no more once the outputs are recorded."""


def cpu_seconds() -> float:
    """CPU time of this process since its start, in all its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Recorder:
    """Measures one step from construction to `record`, and writes the sidecars of its outputs."""

    def __init__(self, verb: str, version: int, settings: Any, command: list[str]) -> None:
        self.verb, self.version, self.settings, self.command = verb, version, settings, command
        self.watch = Stopwatch.start()

    def record(self, made: Made) -> None:
        """Write one sidecar per output, last of all: one that is absent or disagrees means "not finished"."""
        device_seconds = self.watch.device_seconds(made.device) if made.device_seconds is None else made.device_seconds
        usage = resource.getrusage(resource.RUSAGE_SELF)
        body = {
            "step": self.verb,
            "version": self.version,
            "settings": io.digest_of(self.settings),
            "command": self.command,
            "inputs": {path: io.sha256(path) for path in made.inputs},
            "outputs": made.outputs,
            "device": made.device,
            "seconds": round(self.watch.seconds(), 3),
            "device_seconds": round(device_seconds, 3),
            # Since process start: imports are part of what a job costs.
            "cpu_seconds": round(cpu_seconds() if made.cpu_seconds is None else made.cpu_seconds, 3),
            "max_rss_mb": usage.ru_maxrss // 1024,
            "flops": made.flops,
            "seeds": made.seeds,
            "numerics": numerics.here(made.device) if made.numerics is None else made.numerics,
            "threads": _threads(),
            "notes": made.notes,
            "git": _git_state(),
            "packages": _packages(),
            "python": platform.python_version(),
            "host": platform.node(),
            "gpu_memory_mb": _gpu_memory_mb(),
            "job": json.loads(os.environ.get(JOB_VARIABLE, "null")),
        }
        for position, path in enumerate(made.outputs):
            # One job, one cost: siblings point to the output whose sidecar is counted.
            costs = {} if position == 0 else {"cost_of": made.outputs[0]}
            about = {"file": Path(path).name, "sha256": io.sha256(staged(path))}
            cited = {"citations": made.own_citations.get(path, made.citations)}
            io.write_json(sidecar(path), {**about, **body, **cited, **costs})


def read(path: Path | str) -> dict[str, Any]:
    """The sidecar of an artefact.

    Raises:
        MissingArtefact: the artefact has none, or it is damaged.
    """
    mark = sidecar(path)
    if not mark.exists():
        raise MissingArtefact(f"{path}: has no provenance file {mark.name}; run its step again")
    return io.read_object(mark, SAID, cure=f"run the step again that makes {path}")


def require(path: Path | str, settings_digest: str) -> None:
    """Refuse an artefact that was made under other settings, or changed since. Reads all of it: meant for small files.

    Raises:
        MissingArtefact: it has no sidecar, or its settings or its content are not those that the sidecar says.
    """
    record = read(io.require(path))
    if (made := record.get("settings")) != settings_digest:
        raise MissingArtefact(
            f"{path}: was made under other settings ({made}, the configuration says {settings_digest}); "
            f"run its step again: snakemake -f {path}"
        )
    if record.get("sha256") != io.sha256(path):
        raise MissingArtefact(f"{path}: is not the file that its step wrote; run its step again: snakemake -f {path}")


def fresh(path: Path | str, settings_digest: str, command: list[str]) -> bool:
    """Whether running the command that made an artefact again would change nothing.

    That is so if the command and its settings are the recorded ones, and all of its outputs and inputs are as recorded.
    """
    try:
        record = read(path)
        for output in record["outputs"]:
            require(output, settings_digest)
        same_inputs = all(io.sha256(file) == digest for file, digest in record["inputs"].items())
        return record["command"] == command and same_inputs
    except MissingArtefact:
        return False


def cost(path: Path | str) -> dict[str, Any]:
    """The sidecar that carries the cost of making an artefact: its own, or that of the job's first output.

    Raises:
        MissingArtefact: the artefact or that sibling has none, or it is damaged.
    """
    record = read(path)
    return read(record["cost_of"]) if "cost_of" in record else record


def total(records: Iterable[dict[str, Any]], field_name: str) -> float:
    """Sum of one cost over sidecars.

    Raises:
        MissingArtefact: a job did not measure it.
    """
    found = []
    for record in records:
        if (value := record.get(field_name)) is None:
            made_by = " ".join(record.get("command", ())) or record.get("step", "an unknown step")
            raise MissingArtefact(
                f"{record.get('file', 'a record')}: its provenance has no {field_name} (made by: {made_by}); "
                "run its step again"
            )
        found.append(float(value))
    return float(sum(found))


def verify(path: Path | str) -> Iterator[str]:
    """Walk the chain of inputs back from `path`; yield one line per file that was checked.

    A file in a recorded folder is vouched for by the folder, a file of a committed cache by the record of the cache.
    At the end comes one warning per step whose code was another then: VERSION says whether results changed, and whoever
    raises it may forget to.

    Raises:
        MissingArtefact: a file differs from its sidecar, or from what a later step read, or lacks one.
    """
    waiting: list[tuple[str, str | None, str]] = [(str(path), None, "")]
    seen: set[str] = set()
    commits: dict[str, set[str]] = {}
    sha256 = cache(io.sha256)  # an input is hashed once, however many steps read it
    while waiting:
        current, expected, reader = waiting.pop()
        if expected is not None and (actual := sha256(current)) != expected:
            raise MissingArtefact(
                f"{current}: changed since {reader} read it (sha256 {actual[:12]}, was {expected[:12]}); rerun {reader}"
            )
        if current in seen:
            continue
        seen.add(current)
        if sidecar(current).exists():
            record = read(current)
            if (actual := sha256(current)) != record["sha256"]:
                raise MissingArtefact(
                    f"{current}: not the file that step {record['step']} wrote (sha256 {actual[:12]})"
                )
            waiting += [(file, digest, current) for file, digest in record["inputs"].items()]
            commits.setdefault(record["step"], set()).add(_commit(record.get("git") or {}))
            yield f"{current}: {record['step']} v{record['version']}, {len(record['inputs'])} inputs"
        elif (recorded := _in_cache(current)) is not None:
            if (actual := sha256(current)) != recorded:
                raise MissingArtefact(
                    f"{current}: not the file that was exported (sha256 {actual[:12]}, was {recorded[:12]}); "
                    "check it out again, or export the cache again"
                )
            yield f"{current}: committed cache"
        elif (folder := _recorded_folder(current)) is not None:
            io.require(current)
            waiting.append((folder, None, current))
            yield f"{current}: part of {folder}"
        elif reader and _is_source(current):
            yield f"{current}: source"
        else:
            raise MissingArtefact(f"{current}: has no provenance file {sidecar(current).name}; run its step again")
    yield from _other_code(commits)


def _other_code(commits: Mapping[str, set[str]]) -> Iterator[str]:
    """One line per step that some other code than the present one has run."""
    present = _commit(_git_state())
    if not present:
        return
    for step, found in sorted(commits.items()):
        if others := sorted(commit for commit in found - {present, ""} if not _is_same_code(commit, present)):
            then = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            yield f"warning: step {step} ran with the code of {then}; here is {present}: results may differ"


def _is_same_code(one: str, other: str) -> bool:
    """Whether two commits have the same sources, and differ in documents, tests or results alone."""
    if WITH_EDITS in one or WITH_EDITS in other:
        return False
    return _git("diff", "--quiet", one, other, "--", str(Path(__file__).parents[1])) is not None


def _commit(git: Mapping[str, Any]) -> str:
    """`c58cf7d`, or `c58cf7d with edits`; empty where nothing is known."""
    return f"{git['commit'][:7]}{WITH_EDITS if git.get('dirty') else ''}" if git.get("commit") else ""


def _in_cache(path: str) -> str | None:
    """The digest that the record of a committed cache has for its file; nothing if this is no such file."""
    name, benchmark = Path(path).name, Path(path).parent.name
    record = Path(path).parent / Path(paths.cache_record(benchmark)).name
    if Path(path).parts[-4:] != Path(paths.cache(benchmark), name).parts or not record.exists():
        return None
    digests: dict[str, str] = io.read_object(record, {"sha256": dict})["sha256"]
    return next((digest for file, digest in digests.items() if Path(file).name == name), None)


def _recorded_folder(path: str) -> str | None:
    """The nearest folder around a file that a step made as a whole."""
    return next((str(folder) for folder in Path(path).parents if folder.name and sidecar(folder).exists()), None)


def _is_source(path: str) -> bool:
    """Made by no step: outside the results of this working directory, or a recipe."""
    return Path(path).parts[:1] != (paths.RESULTS,) or Path(path).name == "config.json"


def _threads() -> int | None:
    """Threads that the sums of this process were split over, if that can be told."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() else None


def _gpu_memory_mb() -> int | None:
    """The most memory that torch held on this process's GPU, where it used one."""
    if "torch" not in sys.modules or not (cuda := sys.modules["torch"].cuda).is_initialized():
        return None
    return int(cuda.max_memory_allocated()) >> 20


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
    """Commit and dirtiness of the reedbench sources, where they are tracked (not of the user's working directory)."""
    # An installed copy may lie inside a repository of something else.
    tracked = _git("ls-files", "--error-unmatch", "--", __file__) is not None
    commit = _git("rev-parse", "HEAD") if tracked else None
    package = str(Path(__file__).parents[1])
    return {"commit": commit, "dirty": None if commit is None else bool(_git("status", "--porcelain", "--", package))}


def _git(*arguments: str) -> str | None:
    """What git says in the folder of the sources; nothing where it fails or is not there."""
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
