"""Text files and .csv tables that lie beside structures: read whole, or refused in one line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from reedbench.core.errors import ConfigError, unknown


def text(file: Path) -> str:
    """A file in UTF-8, without the mark that some programs put first.

    Raises:
        ConfigError: it is absent, or no text.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); put a whole one there") from error


def rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The wanted columns of a .csv file with a header, row by row, without white space around them.

    Yields:
        File and line number for messages, and the cells by column.

    Raises:
        ConfigError: the file is absent, no table, or lacks a column or a cell.
    """
    reader = csv.DictReader(text(file).split("\n"))
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or ()]
        if missing := [name for name in columns if name not in reader.fieldnames]:
            raise ConfigError(f"{file}: {unknown('column', missing[0], reader.fieldnames)}")
        for row in reader:
            where = f"{file}: line {reader.line_num}"
            if lacking := [name for name in columns if row[name] is None]:
                raise ConfigError(f"{where}: has no {lacking[0]}; needed are {', '.join(columns)}")
            yield where, {name: row[name].strip() for name in columns}
    except csv.Error as error:
        raise ConfigError(f"{file}: after line {reader.line_num}: no row of a .csv file ({error})") from error
