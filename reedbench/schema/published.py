"""The papers' numbers as data: reads `config/reference/*.csv`, refuses what has no source, selects rows."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reedbench.core import paths
from reedbench.core.errors import ConfigError, Problem, did_you_mean, unknown
from reedbench.schema.problems import MUST_BE
from reedbench.schema.published_row import COLUMNS, USED, Published, cell_id

# What a value must be where the words of benchmark files are of no use.
PATTERNS: Mapping[str, str] = {
    "printed": "digits, as in 8.30",
    "guidance": "none, guided, a number, or empty",
    "interval": "two times with a comma, as in 0,0.7, some, or empty",
    "setting": "key=value, several with ; between them, or empty",
}


def load(folder: Path | str = paths.REFERENCE, *, known: Collection[str]) -> tuple[Published, ...]:
    """All rows of a folder's csv files, in the order of the files' names.

    Args:
        folder: where the files are.
        known: keys of the bibliography (`report.bibliography.entries()`): others are no source.

    Raises:
        ConfigError: with file and line of every row that is wrong or has no source; and of claims to one cell that
            differ, of which no note says which is used.
    """
    files = sorted(Path(folder).glob("*.csv"))
    if not files:
        raise ConfigError(f"{folder}: has no csv file; the papers' numbers are in {paths.REFERENCE} of the repository")
    found = [one for file in files for one in _read(file, known)]
    rows = [one for one in found if isinstance(one, Published)]
    problems = [one for one in found if isinstance(one, Problem)]
    problems += [*_repeated(rows), *_conflicts(rows)]
    if problems:
        raise ConfigError(problems)
    return tuple(rows)


def _read(file: Path, known: Collection[str]) -> Iterator[Published | Problem]:
    """A file's rows, and what is wrong with it."""
    line = 1
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            if wrong := list(_of_header(str(file), header)):
                yield from wrong
                return
            for cells in reader:
                line = reader.line_num
                yield from _row(f"{file}:{line}", header, cells, known)
    except OSError as error:
        yield Problem(str(file), "", f"cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        yield Problem(str(file), "", "is not UTF-8 text")
    except csv.Error as error:
        yield Problem(str(file), "", f"not valid csv after this line: {error}", line)


def _of_header(file: str, header: Sequence[str]) -> Iterator[Problem]:
    for name in header:
        if name not in COLUMNS:
            yield Problem(file, "", unknown("column", name, COLUMNS), 1)
        elif header.count(name) > 1:
            yield Problem(file, name, "is a column twice; keep one", 1)
    if missing := [name for name in COLUMNS if name not in header]:
        yield Problem(file, "", f"lacks the columns {', '.join(missing)}", 1)


def _row(at: str, header: Sequence[str], cells: Sequence[str], known: Collection[str]) -> Iterator[Published | Problem]:
    if len(cells) != len(header):
        words = f"has {len(cells)} cells where the header has {len(header)}; put text with commas in double quotes"
        yield _located(at, "", words)
        return
    given: dict[str, Any] = {name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}
    try:
        row = Published(**given, at=at)
    except ValidationError as error:
        yield from (_located(at, *_explained(detail)) for detail in error.errors())
        return
    if row.source not in known:
        close = did_you_mean(row.source, known)
        words = f"unknown citation key '{row.source}'{close} (add the paper to reedbench/report/bibliography.bib)"
        yield _located(at, "source", words)
    yield row


def _located(at: str, key: str, message: str) -> Problem:
    file, _, line = at.rpartition(":")
    return Problem(file, key, message, int(line))


def _explained(detail: Any) -> tuple[str, str]:
    """Column and words of one of pydantic's errors."""
    key = ".".join(map(str, detail["loc"]))
    kind, given = detail["type"], detail.get("input")
    if kind == "missing":
        return key, "is required and missing"
    if kind == "value_error":
        return key, str(detail["ctx"]["error"])
    if kind == "literal_error":
        allowed = [word.strip("' ") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        allowed = [word for word in allowed if word]
        return key, f"'{given}' is not allowed{did_you_mean(str(given), allowed)} (allowed: {', '.join(allowed)})"
    if key in PATTERNS:
        return key, f"must be {PATTERNS[key]}, got '{given}'"
    must_be = MUST_BE[kind].format(**detail.get("ctx", {})) if kind in MUST_BE else ""
    return key, f"must be {must_be}, got '{given}'" if must_be else f"{detail['msg']}, got '{given}'"


def _repeated(rows: Sequence[Published]) -> Iterator[Problem]:
    """Rows that one place of one source has already given, digit for digit."""
    first: dict[tuple[str, ...], Published] = {}
    for row in rows:
        key = (cell_id(row), row.source, row.place, row.printed)
        if (before := first.setdefault(key, row)) is not row:
            yield _located(row.at, "", f"says what {before.at} says already; keep one")


def _conflicts(rows: Sequence[Published]) -> Iterator[Problem]:
    """Claims to one cell that differ, unless exactly one of the values is said to be used."""
    for claims in _claims(rows).values():
        if len({row.value for row in claims}) == 1:
            continue
        chosen = [row for row in claims if row.note.startswith(USED)]
        if len({row.value for row in chosen}) == 1:
            continue
        one, other = _differing(chosen or claims)
        cure = "take it from all notes but one" if chosen else f"begin the note of one of them with '{USED}' and why"
        yield _located(other.at, "", f"conflicting sources: {_who(other)} here, {_who(one)} in {one.at}; {cure}")


def _claims(rows: Sequence[Published]) -> dict[str, list[Published]]:
    found: dict[str, list[Published]] = {}
    for row in rows:
        if row.kind == "claim":
            found.setdefault(cell_id(row), []).append(row)
    return found


def _differing(rows: Sequence[Published]) -> tuple[Published, Published]:
    return rows[0], next(row for row in rows if row.value != rows[0].value)


def _who(row: Published) -> str:
    return f"{row.printed} ({', '.join(filter(None, (row.source, row.place)))})"


def settled(rows: Sequence[Published]) -> tuple[Published, ...]:
    """Without the claims that another one of their cell overrides: its note says `used:`, and the value differs."""
    used = {cell_id(row): row.value for row in rows if row.kind == "claim" and row.note.startswith(USED)}
    return tuple(row for row in rows if row.kind != "claim" or used.get(cell_id(row), row.value) == row.value)


def select(rows: Sequence[Published], **wanted: Any) -> tuple[Published, ...]:
    """Rows whose columns are as asked: `select(rows, method="REPA", steps=400_000, guidance=("none", 1.35))`.

    A collection allows any of its values; nothing (`None`) leaves a column free; guidance is compared as a number
    where it is one; text is compared without regard to case.

    Raises:
        ConfigError: a name is no column, or none of the rows has any of the values.
    """
    asked = {name: _as_many(value) for name, value in wanted.items() if value is not None}
    for name, values in asked.items():
        if name not in COLUMNS:
            raise ConfigError(unknown("column", name, COLUMNS))
        there = {_key(one): str(one) for one in (getattr(row, name) for row in rows) if one is not None}
        if absent := [value for value in values if _key(value) not in there]:
            raise ConfigError(unknown(name.replace("_", " "), str(absent[0]), filter(None, there.values())))
    keys = {name: {_key(value) for value in values} for name, values in asked.items()}
    return tuple(row for row in rows if all(_key(getattr(row, name)) in allowed for name, allowed in keys.items()))


def _as_many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Collection) and not isinstance(value, str) else [value]


def _key(value: Any) -> str:
    """A value as it is compared."""
    try:
        return f"{float(value):.12g}"
    except (TypeError, ValueError):
        return "" if value is None else str(value).lower()
