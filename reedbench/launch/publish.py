"""Move what a job staged to the declared places, in order: a directory before the receipt that vouches for it.

Files get a second name (hard link) and lose the first only afterwards, so that a launcher that is killed half way
can do it again.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from reedbench.core import io
from reedbench.core.errors import MissingArtefact


def publish(stage: Path, outputs: Sequence[str], key: str) -> None:
    """Publish a job's outputs, then everything else that it staged (sidecars).

    Raises:
        MissingArtefact: the job succeeded without making an output; nothing has been published then.
    """
    if missing := [path for path in outputs if not (stage / path).exists()]:
        raise MissingArtefact(f"{key}: the step succeeded without making {', '.join(missing)}")
    for path in [*outputs, *_others(stage, outputs)]:
        _place(stage / path, Path(path))


def _others(stage: Path, outputs: Iterable[str]) -> list[str]:
    """Staged files that are neither outputs nor in one."""
    declared = [Path(path) for path in outputs]
    files = (file.relative_to(stage) for file in stage.rglob("*") if file.is_file())
    return sorted(str(file) for file in files if not any(file == d or d in file.parents for d in declared))


def _place(source: Path, target: Path) -> None:
    if source.is_dir():
        with io.atomic_directory(target) as part:
            for file in (file for file in source.rglob("*") if file.is_file()):
                to = part / file.relative_to(source)
                to.parent.mkdir(parents=True, exist_ok=True)
                _link_now(file, to)
    else:
        with io.atomic(target) as part:
            part.unlink(missing_ok=True)  # of a killed attempt
            _link_now(source, part)


def _link_now(source: Path, target: Path) -> None:
    """Link, with the present as its time: what Snakemake compares is when an output appeared."""
    io.link(source, target)
    os.utime(target)
