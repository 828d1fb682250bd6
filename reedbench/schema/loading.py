"""YAML files -> plain values with line numbers. Duplicate keys are errors; entries may say `base:` another entry."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from reedbench.core.errors import ConfigError, Problem, unknown

Key = tuple[str | int, ...]
UNRESOLVED = object()  # an entry whose base is wrong, or is not a mapping
# Every job reads every benchmark: libyaml does so ten times faster, where PyYAML was built with it.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_NODES = 100_000  # aliases included: a few lines of them can stand for billions


class Document:
    """A parsed YAML file: `values`, and the line of any key path."""

    def __init__(self, file: Path | str) -> None:
        self.file = str(file)
        try:
            text = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError([Problem(self.file, "", f"cannot be read ({error.strerror})")]) from error
        except UnicodeDecodeError as error:
            raise ConfigError([Problem(self.file, "", "is not UTF-8 text")]) from error
        self.lines: dict[Key, int] = {}
        self.problems: list[Problem] = []
        self._open: list[yaml.Node] = []  # from the root down to the node that is being read
        self._nodes = 0
        try:
            self.values: Any = self._read(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            message = " ".join((getattr(error, "problem", None) or str(error)).split())
            line = None if mark is None else mark.line + 1
            raise ConfigError([Problem(self.file, "", f"not valid YAML: {message}", line)]) from error
        except RecursionError as error:
            raise ConfigError([Problem(self.file, "", "is nested too deeply; write it flatter")]) from error
        if not isinstance(self.values, dict):
            held = "is empty" if self.values is None else f"holds a {type(self.values).__name__}"
            raise ConfigError([Problem(self.file, "", f"must hold a mapping of keys to values, and {held}")])

    def _read(self, text: str) -> Any:
        """The values, once the lines are noted: what is noted first is refused before it is built."""
        loader = Loader(text)
        try:
            root = loader.get_single_node()
            self._note(root, ())
            return None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()

    def line(self, key: Key) -> int | None:
        """Line of a key path, or of its nearest ancestor that is written in the file."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)

    def problem(self, key: Key, message: str) -> Problem:
        """A problem at a key path."""
        return Problem(self.file, dotted(key), message, self.line(key))

    def _note(self, node: yaml.Node | None, key: Key) -> None:
        """Note the lines of everything below a node.

        Raises:
            ConfigError: a node holds itself, or the file stands for more than any benchmark has.
        """
        if node is None:
            return
        self._nodes += 1
        if any(node is other for other in self._open):
            raise ConfigError([self.problem(key, "is an alias (*) of something that it stands in; write it out")])
        if self._nodes > MOST_NODES:
            raise ConfigError([self.problem(key, f"the file has more than {MOST_NODES} entries, aliases (*) counted")])
        self._open.append(node)
        self._note_inside(node, key)
        self._open.pop()

    def _note_inside(self, node: yaml.Node, key: Key) -> None:
        if isinstance(node, yaml.MappingNode):
            for name_node, value in node.value:
                here = (*key, str(name_node.value))
                if here in self.lines:
                    self.problems.append(
                        Problem(
                            self.file,
                            dotted(here),
                            f"is given twice (first in line {self.lines[here]}); keep one",
                            name_node.start_mark.line + 1,
                        )
                    )
                    # The second value is the one that is read: its keys do not repeat those of the first.
                    self.lines = {key: line for key, line in self.lines.items() if key[: len(here)] != here}
                self.lines[here] = name_node.start_mark.line + 1
                self._note(value, here)
        elif isinstance(node, yaml.SequenceNode):
            for position, value in enumerate(node.value):
                self.lines[(*key, position)] = value.start_mark.line + 1
                self._note(value, (*key, position))


def dotted(key: Key) -> str:
    """`methods.reed.alignments.0.weight`."""
    return ".".join(map(str, key))


def merge_bases(document: Document, section: str) -> list[Problem]:
    """Replace each entry of `section` that says `base: name` by that entry with its own keys on top, in place.

    The merge is shallow: a list or a mapping that is given replaces the base's one whole. Entries whose base cannot be
    resolved are reported once and left out.
    """
    entries = document.values.get(section)
    if not isinstance(entries, dict):
        return []
    problems: list[Problem] = []
    merged: dict[Hashable, Any] = {}

    def resolve(name: Hashable, trail: tuple[Hashable, ...]) -> Any:
        if name in merged:
            return merged[name]
        entry = entries[name]
        here: Key = (section, str(name), "base")
        if not isinstance(entry, Mapping) or "base" not in entry:
            merged[name] = entry
        elif not isinstance(base := entry["base"], str):
            problems.append(document.problem(here, f"must be the name of an entry of {section}, got {base!r}"))
            merged[name] = UNRESOLVED
        elif base not in entries:
            problems.append(document.problem(here, unknown("base", base, map(str, entries))))
            merged[name] = UNRESOLVED
        elif base in (*trail, name):
            problems.append(
                document.problem(here, f"goes round in a circle: {' -> '.join(map(str, (*trail, name, base)))}")
            )
            merged[name] = UNRESOLVED
        else:
            below = resolve(base, (*trail, name))
            own = {key: value for key, value in entry.items() if key != "base"}
            merged[name] = {**below, **own} if isinstance(below, Mapping) else UNRESOLVED
        return merged[name]

    for name in list(entries):
        resolve(name, ())
    document.values[section] = {name: merged[name] for name in entries if merged[name] is not UNRESOLVED}
    return problems
