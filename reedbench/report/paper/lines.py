"""The papers' numbers as the lines of a table: one line for what its table tells apart, and for who says so.

A claim of a method's authors, a copy of it elsewhere and somebody else's run are lines of their own, as are sources: no
line mixes them. Copies that say nothing new are left out: those whose every value stands in a claim's line, or was
digitised from a figure where the claim is printed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reedbench.core.errors import ConfigError, did_you_mean
from reedbench.report.paper.selection import chosen, setting_keys, setting_of, wrong
from reedbench.schema.paper import Table
from reedbench.schema.published import settled
from reedbench.schema.published_row import COLUMNS, PROTOCOL, Published

KINDS = ("claim", "copy", "rerun")
DIGITISED = "G"
_SAME = (*PROTOCOL, "setting")  # in which the numbers of one line agree


@dataclass(frozen=True)
class Line:
    """Numbers of one method under one protocol, as one source has them.

    Attributes:
        words: values of the table's `by`, in its order.
        cells: the row of each metric that there is a number for.
    """

    words: tuple[str, ...]
    cells: Mapping[str, Published]

    @cached_property
    def first(self) -> Published:
        """Any of its rows: in method, protocol, kind and source they agree."""
        return next(iter(self.cells.values()))

    @property
    def places(self) -> tuple[str, ...]:
        """Where in the source its numbers stand."""
        return tuple(dict.fromkeys(row.place for row in self.cells.values() if row.place))

    @property
    def digitised(self) -> bool:
        """Whether any of its numbers was read off a figure."""
        return any(row.tag == DIGITISED for row in self.cells.values())


@dataclass(frozen=True)
class Shown:
    """A table's lines in order, and the rows that it leaves out: claims that others override, repeated copies."""

    name: str
    table: Table
    lines: tuple[Line, ...]
    overridden: tuple[Published, ...]
    repeated: tuple[Published, ...]

    @property
    def rows(self) -> tuple[Published, ...]:
        """Every number that it shows."""
        return tuple(row for line in self.lines for row in line.cells.values())


def shown(everything: Sequence[Published], name: str, table: Table) -> Shown:
    """The lines of a table.

    Raises:
        ConfigError: the table asks for what there is not, or two numbers would stand in one place: both are named.
    """
    at = f"tables.{name}"
    rows = [row for row in chosen(everything, table.where, table.but, at) if row.metric in table.columns]
    _check(rows, table, at)
    kept = settled(rows)
    lines = [*_lines(kept, table)]
    _check_apart(lines, table, at)
    repeated = [line for line in lines if _says_nothing_new(line, lines)]
    left = sorted((line for line in lines if line not in repeated), key=lambda line: _order(line, table))
    copies = tuple(row for line in repeated for row in line.cells.values())
    return Shown(name, table, tuple(left), tuple(row for row in rows if row not in set(kept)), copies)


def _check(rows: Sequence[Published], table: Table, at: str) -> None:
    """That every column and every key of the lines is one that these rows have."""
    allowed = [*COLUMNS, *sorted(setting_keys(rows))]
    for key in table.by:
        if key not in allowed:
            raise wrong(
                f"{at}.by", f"'{key}' is no column, and no key of these rows' settings{did_you_mean(key, allowed)}"
            )
    there = {row.metric for row in rows}
    if idle := [metric for metric in table.columns if metric not in there]:
        raise wrong(f"{at}.columns", f"none of the rows has {' or '.join(idle)}; take it out")


def _lines(rows: Sequence[Published], table: Table) -> Iterator[Line]:
    """Rows that belong together, in the order of their first."""
    groups: dict[tuple[str, ...], list[dict[str, Published]]] = {}
    for row in sorted(rows, key=lambda row: row.tag == DIGITISED):  # printed digits come first
        words = (_word(row, key) for key in table.by)
        apart = (row.kind, row.source, *(str(getattr(row, name)) for name in _SAME))
        cells = groups.setdefault((*words, *apart), [{}])
        _place(row, cells)
    for key, found in groups.items():
        for line in found:
            yield Line(key[: len(table.by)], {name: line[name] for name in table.columns if name in line})


def _place(row: Published, lines: list[dict[str, Published]]) -> None:
    """Put a row into the line it belongs to; another run of the same person's begins a new one.

    Raises:
        ConfigError: there is another number in its place.
    """
    for cells in lines:
        other = cells.setdefault(row.metric, row)
        if other.value == row.value:
            return
        if row.kind != "rerun":
            raise ConfigError(f"conflicting sources: {_who(other)} and {_who(row)} say different things of one cell")
    lines.append({row.metric: row})


def _who(row: Published) -> str:
    return f"{row.printed} in {row.at} ({', '.join(filter(None, (row.source, row.place)))})"


def _word(row: Published, key: str) -> str:
    """The value of a column, or of a key of the setting."""
    value = getattr(row, key) if key in COLUMNS else setting_of(row, key)
    return "" if value is None else str(value)


def _check_apart(lines: Sequence[Line], table: Table, at: str) -> None:
    """No two lines of one kind and source may look alike, unless they are one person's runs of the same."""
    seen: dict[tuple[str, ...], Line] = {}
    for line in lines:
        one = line.first
        key = (*line.words, one.kind, one.source)
        if (other := seen.setdefault(key, line)) is line:
            continue
        differing = [name for name in _SAME if getattr(other.first, name) != getattr(one, name)]
        if differing:
            words = f"{_who(other.first)} and {_who(one)} differ in {' and '.join(differing)}, which no line says"
            raise wrong(f"{at}.by", f"{words}; add it, or narrow `where`")


def _says_nothing_new(line: Line, lines: Sequence[Line]) -> bool:
    """Whether a copy's numbers all stand in lines of the same words that come before it."""
    if line.first.kind != "copy":
        return False
    before = [one for one in lines if one.words == line.words and _rank(one, lines) < _rank(line, lines)]
    return all(any(_says(one.cells.get(name), row) for one in before) for name, row in line.cells.items())


def _says(one: Published | None, copy: Published) -> bool:
    if one is None:
        return False
    return one.value == copy.value or (copy.tag == DIGITISED and one.tag != DIGITISED)


def _rank(line: Line, lines: Sequence[Line]) -> tuple[int, int]:
    """Claims before copies; of each, what stands first in the files."""
    return KINDS.index(line.first.kind), next(i for i, one in enumerate(lines) if one is line)


def _order(line: Line, table: Table) -> tuple[Any, ...]:
    """By each of the table's keys: in the order in which it lists their values, else by number, else by name."""
    asked = {**table.where.columns, **table.where.settings}
    keys: list[Any] = []
    for key, word in zip(table.by, line.words, strict=True):
        listed = [value.lower() for value in asked.get(key, ())]
        place = listed.index(word.lower()) if word.lower() in listed else len(listed)
        keys += [place, *_natural(word)]
    return (*keys, KINDS.index(line.first.kind), line.first.source)


def _natural(word: str) -> tuple[int, float, str]:
    """Nothing first, then numbers, then names."""
    try:
        return (1, float(word), "") if word else (0, 0.0, "")
    except ValueError:
        return 2, 0.0, word.lower()
