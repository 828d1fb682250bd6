"""Pinned weights, as plugins find them: files from outside that the suite names, fetched to results/weights/<name>/.

A plugin's field of the type `Weights` takes the name of such weights, or a path to a file or folder of one's own. What
is a path has a / or ends like a file of weights; everything else is a name. Keys hold the sha256 of what it stands for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact
from reedbench.core.frozen import Frozen

SUFFIXES = (".pt", ".pth", ".safetensors", ".bin", ".ckpt", ".npz", ".npy")


@dataclass(frozen=True)
class Pin:
    """Marks a field that may name pinned weights.

    Attributes:
        words: values with a meaning of their own, which name no weights.
    """

    words: tuple[str, ...] = ()


Weights = Annotated[str, Pin()]


def is_name(text: str) -> bool:
    """Whether this names pinned weights, and is no path."""
    return "/" not in text and not text.endswith(SUFFIXES)


def named(plugin: Frozen) -> dict[str, str]:
    """The pinned weights that a plugin's settings name, by field."""
    marks = {name: mark for name, field in type(plugin).model_fields.items() for mark in field.metadata}
    pins = {name: mark for name, mark in marks.items() if isinstance(mark, Pin)}
    values = {name: getattr(plugin, name) for name in pins}
    return {name: text for name, text in values.items() if is_name(text) and text not in pins[name].words}


def names(*plugins: Frozen) -> list[str]:
    """The pinned weights that plugins name, each once."""
    return list(dict.fromkeys(name for plugin in plugins for name in named(plugin).values()))


def words(plugin: Frozen, name: str) -> tuple[str, ...]:
    """What a field may say beside names and paths."""
    return next(mark.words for mark in type(plugin).model_fields[name].metadata if isinstance(mark, Pin))


def file(text: str) -> Path:
    """The file that a name or a path means; of weights of several files the first one.

    Raises:
        MissingArtefact: the weights that are named have not been fetched.
    """
    if not is_name(text):
        return paths.external(text)
    return folder(text) / str(card(text)["files"][0]["file"])


def folder(text: str) -> Path:
    """The folder that a name or a path means.

    Raises:
        MissingArtefact: the weights that are named have not been fetched.
    """
    if not is_name(text):
        return paths.external(text)
    card(text)
    return Path(paths.pinned_files(text))


def card(name: str) -> dict[str, Any]:
    """What was fetched: source, licence, and `files` with their sha256 and size.

    Raises:
        MissingArtefact: nothing was, or a file is gone or has another size.
    """
    where = paths.card(paths.pinned(name))
    if not Path(where).exists():
        raise MissingArtefact(f"{where}: weights '{name}' are not here; where there is a network run: {how(name)}")
    found: dict[str, Any] = io.read_json(where)
    for each in found["files"]:
        there = Path(paths.pinned_files(name), each["file"])
        if not there.is_file() or there.stat().st_size != each["bytes"]:
            raise MissingArtefact(f"{there}: is not the file that was fetched; run: snakemake -f {where}")
    return found


def how(name: str) -> str:
    """The commands that fetch weights."""
    return f"snakemake fetch (or only these: reedbench fetch {name})"
