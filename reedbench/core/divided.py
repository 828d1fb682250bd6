"""Tensors in one safetensors file or, where they are large, in several: none is larger than file systems like.

    step-0000100.safetensors           all tensors; or the first of them and, in its header, the digests of
    step-0000100.part-2.safetensors    the others, which are written before it

So the digest of the first file vouches for all of them, and while it is not there none of them count.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reedbench.core import faults, io
from reedbench.core.errors import MissingArtefact
from reedbench.core.parts import BYTES

LARGE = 16 * BYTES  # of a file; a tensor that is larger has one to itself
PART = re.compile(r"\.part-\d+")
DIGESTS = "parts"  # what a header calls the digests of the other files
Save = Callable[[dict[str, Any], Path, dict[str, str] | None], None]


def part(path: Path, number: int) -> Path:
    """Where a file lies; 1 is the first."""
    return path if number == 1 else path.with_name(f"{path.stem}.part-{number}{path.suffix}")


def clear(folder: Path) -> None:
    """Delete further files whose first one is not there: nothing counts on them."""
    for file in folder.glob("*.part-*"):
        if not file.with_name(PART.sub("", file.name)).exists():
            file.unlink()


def write(path: Path, tensors: Mapping[str, Any], save: Save) -> None:
    """Write tensors, atomically; the bytes depend on names and values alone.

    Args:
        path: of the first file.
        tensors: arrays that know their `nbytes`.
        save: writes some of them into a file, with a header: `safetensors.<framework>.save_file`.
    """
    first, *others = _groups(tensors)
    digests: list[str] = []
    for number, names in enumerate(others, 2):
        with io.atomic(part(path, number)) as whole:
            save({name: tensors[name] for name in names}, whole, None)
        digests.append(io.sha256(part(path, number)))
        faults.reach("after-file", number)
    with io.atomic(path) as whole:
        save({name: tensors[name] for name in first}, whole, {DIGESTS: " ".join(digests)} if digests else None)


def files(path: Path | str) -> list[Path]:
    """The files that hold the tensors, the first one first.

    Raises:
        MissingArtefact: the first file is absent or damaged, or another one is not that of which the first one speaks.
    """
    path = io.require(path)
    found = [path]
    for number, digest in enumerate(_digests(path), 2):
        other = part(path, number)
        if not other.exists():
            raise MissingArtefact(f"{other}: no such file, and {path.name} is not whole without it; {io.RERUN}")
        if io.sha256(other) != digest:
            raise MissingArtefact(f"{other}: not the file that {path.name} names; {io.RERUN}")
        found.append(other)
    return found


def read(path: Path | str) -> dict[str, Any]:
    """All tensors, as numpy arrays.

    Raises:
        MissingArtefact: a file is absent or damaged.
    """
    return {name: array for file in files(path) for name, array in io.read_tensors(file).items()}


def _groups(tensors: Mapping[str, Any]) -> list[list[str]]:
    """Names in their order, in groups that a file can hold."""
    groups: list[list[str]] = [[]]
    room = LARGE
    for name in sorted(tensors):
        size = tensors[name].nbytes
        if groups[-1] and size > room:
            groups.append([])
            room = LARGE
        groups[-1].append(name)
        room -= size
    return groups


def _digests(path: Path) -> list[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise MissingArtefact(f"{path}: not a whole safetensors file ({error}); {io.RERUN}") from error
    return header.get(DIGESTS, "").split()
