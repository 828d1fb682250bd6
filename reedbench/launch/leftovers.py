"""What lies in a working directory that no configuration asks for: `reedbench clean` lists it, and deletes it if told.

Listed are stores of other recipes, results of benchmarks, methods and seeds that no file names, folders of their
launched jobs, and parts of steps that have not ended and that nobody is at. Never listed: what a process holds or a
launcher waits for, the present recipe's store, and the store with a run's newest state, be its recipe the present one
or not (an edit may be taken back). The committed cache, data sets and encoders are left alone too.
"""

import math
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reedbench.core import locks, parts, paths, stores
from reedbench.core.console import say
from reedbench.launch import ticket
from reedbench.launch.processes import Process
from reedbench.schema import lineage, runs
from reedbench.schema.suite import Suite

Runs = Mapping[str, Mapping[str, frozenset[int]]]
OF_RUNS = ("runs", "samples", "metrics")  # folders of results below which stands <benchmark>/<method>/seed<k>
OF_BENCHMARKS = ("figures", "ablations", "from-cache")
TABLE = re.compile(r"(.+)\.(csv|md|tex)(\.prov\.json)?")
SEED = re.compile(r"seed(\d+)")
UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


@dataclass(frozen=True)
class Leftover:
    """Something that nothing asks for."""

    path: Path
    why: str
    size: int
    """Bytes that deleting it frees; files that are linked from elsewhere too count nothing."""
    changed: float
    """When its newest file was written."""
    lock: Path | None = None
    """Held while somebody works on it."""

    def words(self) -> list[str]:
        """A row of a table."""
        return [str(self.path), self.why, size_words(self.size), age_words(time.time() - self.changed)]


def leftovers(suite: Suite) -> list[Leftover]:
    """Everything of the kind, stores first."""
    named = _configured(suite)
    return [*other_stores(suite), *_results(named), *_jobs(named), *unfinished()]


def unfinished() -> list[Leftover]:
    """Parts of steps that have not ended, whose next attempt would go on from them."""
    return [
        _of(folder, "parts of an unfinished step", folder / parts.LOCK)
        for names, folder in parts.every()
        if not locks.held(folder / parts.LOCK) and not _waited_for(Path(paths.job(names)) / "ticket.json")
    ]


def other_stores(suite: Suite) -> list[Leftover]:
    """Stores of recipes that no configuration asks for, but for the one with a configured run's newest state."""
    by_run: dict[tuple[str, str, int], list[stores.Kept]] = {}
    for kept in stores.every():
        by_run.setdefault(kept.run, []).append(kept)
    named = _configured(suite)
    found = []
    for (b, m, k), all_kept in by_run.items():
        configured = k in named.get(b, {}).get(m, ())
        key = runs.of(suite, b, m, k).key if configured else None
        newest = max(all_kept, key=_written).key if configured else None
        why = "another recipe" if configured else "no file names this run"
        others = [kept for kept in all_kept if kept.key not in (key, newest)]
        found += [_of(kept.path, why, kept.folder.lock) for kept in others if not locks.held(kept.folder.lock)]
    return found


def delete(found: Iterable[Leftover]) -> int:
    """Delete what is still left alone by everybody; returns the bytes that it freed."""
    freed = 0
    for one in found:
        if one.lock is not None and one.lock.exists():
            with one.lock.open("a") as lock:
                if not locks.taken(lock):
                    say(f"{one.path}: somebody works on it now; left alone")
                    continue
                _remove(one.path)
        else:
            _remove(one.path)
        freed += one.size
    return freed


def total(found: Iterable[Leftover]) -> int:
    """Bytes that deleting all of it frees: links between them count once."""
    return _size(file for one in found for file in _files(one.path))


def size_words(size: float) -> str:
    """`1.2 GB`."""
    if size < 1000:
        return f"{size:.0f} B"
    power = min(int(math.log10(size)) // 3, 4)
    return f"{size / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def age_words(seconds: float) -> str:
    """`3 d`: in the largest unit."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= size), UNITS[-1])
    return f"{max(seconds, 0) / size:.0f} {unit}"


def _configured(suite: Suite) -> Runs:
    """Every run that a file names, with those that others learn from under seeds of their own."""
    found = {b: {m: set(spec.seeds) for m in spec.methods} for b, spec in suite.benchmarks.items()}
    for b, spec in suite.benchmarks.items():
        for one in lineage.with_teachers(runs.benchmark(suite, b).runs(spec.methods)):
            found[one.benchmark.name][one.method].add(one.seed)
    return {b: {m: frozenset(seeds) for m, seeds in methods.items()} for b, methods in found.items()}


def _written(kept: stores.Kept) -> float:
    """When the newest state of a store was written; what has none is older than all that have."""
    steps = kept.folder.state_steps()
    return max((kept.folder.state_file(step).stat().st_mtime for step in steps), default=0.0)


def _results(runs: Runs) -> Iterator[Leftover]:
    root = Path(paths.RESULTS)
    for kind in OF_RUNS:
        for path, why in _unnamed(root / kind, runs):
            yield _of(path, why)
    for kind in OF_BENCHMARKS:
        for path in _folders(root / kind):
            if path.name not in runs:
                yield _of(path, "no such benchmark")
    for path in sorted((root / "tables").glob("*")):
        if (named := TABLE.fullmatch(path.name)) and named[1] not in runs:
            yield _of(path, "no such benchmark")


def _unnamed(root: Path, runs: Runs) -> Iterator[tuple[Path, str]]:
    for benchmark in _folders(root):
        if benchmark.name not in runs:
            yield benchmark, "no such benchmark"
            continue
        for method in _folders(benchmark):
            if method.name not in runs[benchmark.name]:
                yield method, "no such method"
                continue
            for seed in _folders(method):
                named = SEED.fullmatch(seed.name)
                if named and int(named[1]) not in runs[benchmark.name][method.name]:
                    yield seed, "no such seed"


def _jobs(runs: Runs) -> Iterator[Leftover]:
    """Folders of jobs of such runs that have ended."""
    for kind in ("train", "sample", "evaluate"):
        for path, why in _unnamed(Path(paths.job(kind)), runs):
            if not any(_waited_for(file) for file in path.rglob("ticket.json")):
                yield _of(path, why)


def _waited_for(file: Path) -> bool:
    """Whether a launcher holds the job of a ticket, or one may still come to collect it."""
    one = ticket.read(file)
    if one is not None and one.state == ticket.SUBMITTED:
        return one.process is None or Process(**one.process).alive()
    return locks.held(file.with_name("lock"))


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*") if path.is_dir() and not path.is_symlink())


def _of(path: Path, why: str, lock: Path | None = None) -> Leftover:
    files = list(_files(path))
    changed = max((file.lstat().st_mtime for file in files), default=path.lstat().st_mtime)
    return Leftover(path, why, _size(files), changed, lock)


def _files(path: Path) -> Iterator[Path]:
    if path.is_file() or path.is_symlink():
        yield path
    else:
        yield from (file for file in path.rglob("*") if file.is_symlink() or file.is_file())


def _size(files: Iterable[Path]) -> int:
    """Bytes of files all of whose names are among these."""
    found = [file.lstat() for file in files]
    names = Counter((one.st_dev, one.st_ino) for one in found)
    unique = {(one.st_dev, one.st_ino): one for one in found}
    return sum(one.st_size for inode, one in unique.items() if names[inode] == one.st_nlink)


def _remove(path: Path) -> None:
    """A folder with its sidecar, or a file."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
