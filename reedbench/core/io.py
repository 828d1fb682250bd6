"""Atomic files in safe formats: a reader never sees half a file, and nothing is ever unpickled."""

import csv
import hashlib
import json
import os
import platform
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reedbench.core.errors import MissingArtefact
from reedbench.core.staging import staged

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

RERUN = "delete it and rerun"
NOTHING: Mapping[str, type] = {}
_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
}


@contextmanager
def atomic(path: Path | str, *, in_place: bool = False, shared: bool = False) -> Iterator[Path]:
    """Yield a sibling `.part` path; on success it is flushed to disk and renamed to `path`, else removed.

    Results go to where this process stages them (`core.staging`), unless they are to be written in place. Where several
    processes may write the file at once (`shared`) each has a part of its own, which stays if its process is killed;
    else the part that a killed process left is overwritten.
    """
    path = Path(path) if in_place else staged(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = f".{platform.node()}-{os.getpid()}" if shared else ""
    part = path.with_name(f".{path.name}{own}.part")
    try:
        yield part
        _flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield an empty sibling directory that replaces `path` on success and is removed otherwise.

    At every moment `path` is the whole old directory, absent (between two renames), or the whole new one.
    """
    path = staged(path)
    part, old = path.with_name(f".{path.name}.part"), path.with_name(f".{path.name}.old")
    for left in (part, old):  # by a killed attempt
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                _flush(file)
        # Snakemake leaves its time stamp in an existing directory output: the whole directory is replaced.
        if path.exists():
            path.replace(old)
        part.replace(path)
    finally:
        if old.exists() and not path.exists():  # the second rename failed
            old.replace(path)
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def remove(folder: Path, root: Path) -> None:
    """Remove a folder with all that is in it, and those above it that are empty then, as far as `root`, which stays."""
    shutil.rmtree(folder, ignore_errors=True)
    prune(folder.parent, root)


def prune(folder: Path, root: Path) -> None:
    """Remove a folder if it is empty, and those above it that are empty then, as far as `root`, which stays."""
    for empty in (folder, *folder.parents):
        if empty == root:
            break
        try:
            empty.rmdir()
        except OSError:  # it is not, or another process was faster
            break


def link(source: Path, target: Path) -> None:
    """Give a file a second name: a hard link, or a copy on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _flush(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no NaN, a final newline."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"


def digest_of(value: Any) -> str:
    """Twelve hexadecimal digits that name a plain value (a recipe, the settings of a step)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()[:12]


def write_text(path: Path | str, text: str, *, in_place: bool = False, shared: bool = False) -> None:
    """Write `text` atomically; see `atomic`."""
    with atomic(path, in_place=in_place, shared=shared) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as canonical JSON, atomically."""
    write_text(path, canonical_json(value))


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        MissingArtefact: the file is absent or is not JSON.
    """
    path = require(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text at all
        raise MissingArtefact(f"{path}: not a JSON file ({error}); {RERUN}") from error


def read_object(path: Path | str, kinds: Mapping[str, type] = NOTHING, *, cure: str = RERUN) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        path: the file.
        kinds: names that the object must have, and of which kind their values must be.
        cure: a clause that says what to do about a wrong file.

    Raises:
        MissingArtefact: the file is absent, is not JSON, holds something else, or lacks one of the names.
    """
    read = read_json(path)
    if not isinstance(read, dict):
        raise MissingArtefact(f"{path}: holds {_KINDS.get(type(read), 'something else')}, not an object; {cure}")
    if missing := [name for name in kinds if name not in read]:
        raise MissingArtefact(f"{path}: has no {', '.join(missing)}; {cure}")
    for name, kind in kinds.items():
        if not isinstance(read[name], (int, float) if kind is float else kind):
            raise MissingArtefact(f"{path}: its {name} is not {_KINDS[kind]}; {cure}")
    return read


def write_csv(path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows with the given columns; a missing value is an empty cell."""
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows)


def write_tensors(path: Path | str, tensors: Mapping[str, Any]) -> None:
    """Write numpy arrays as safetensors, atomically; the bytes depend on names and values alone."""
    import numpy as np
    from safetensors.numpy import save_file

    with atomic(path) as part:
        save_file({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}, part)


def read_tensors(path: Path | str) -> dict[str, Any]:
    """Read a safetensors file as numpy arrays.

    Raises:
        MissingArtefact: the file is absent or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = require(path)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise MissingArtefact(f"{path}: not a whole safetensors file ({error}); {RERUN}") from error


def write_npz(path: Path | str, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """Write named numpy arrays as npz, atomically."""
    import numpy as np

    with atomic(path) as part, part.open("wb") as file:
        (np.savez_compressed if compressed else np.savez)(file, **arrays)


def read_npz(path: Path | str, names: Sequence[str] | None = None, *, cure: str = RERUN) -> "dict[str, np.ndarray]":
    """Read the named arrays of an npz file; all of them if none are named.

    Args:
        path: the file.
        names: of the arrays that are wanted.
        cure: a clause that says what to do about a wrong file.

    Raises:
        MissingArtefact: the file is absent or damaged, or lacks one of the arrays.
    """
    import numpy as np

    path = require(path)
    try:
        # A lone array (npy) would be read by numpy too, and then is no archive.
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as file:
            missing = [name for name in names or () if name not in file.files]
            arrays = {} if missing else {name: file[name] for name in (file.files if names is None else names)}
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, KeyError) as error:
        raise MissingArtefact(f"{path}: not a whole npz file ({_line(error)}); {cure}") from error
    if missing:
        raise MissingArtefact(f"{path}: has no array {', '.join(missing)}; {cure}")
    return arrays


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> "pa.Table":
    """Read the named columns of a parquet file; all of them if none are named.

    Raises:
        MissingArtefact: the file is absent or damaged, or lacks one of the columns.
    """
    # Every training and sampling job starts here: pyarrow's reader of one file, as that of many loads pandas.
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    path = require(path)
    try:
        with ParquetFile(path) as file:
            return file.read() if columns is None else file.read(list(columns)).select(list(columns))
    except (ArrowException, OSError, KeyError) as error:  # KeyError: a column that is not there
        raise MissingArtefact(f"{path}: not a whole parquet file ({_line(error)}); {RERUN}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def require(path: Path | str) -> Path:
    """The path, if it exists.

    Raises:
        MissingArtefact: it does not.
    """
    path = Path(path)
    if not path.exists():
        raise MissingArtefact(f"{path}: no such file or folder; run the step that makes it")
    return path


def sha256(path: Path | str) -> str:
    """sha256 of a file, or of a folder's sorted file names and contents (Snakemake's own marks left out)."""
    path = require(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".snakemake"))
        lines = "".join(f"{file.relative_to(path)} {sha256(file)}\n" for file in files)
        return hashlib.sha256(lines.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
