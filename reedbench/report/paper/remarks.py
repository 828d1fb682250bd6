"""What stands below a table of papers' numbers: sources, marks, protocol, what was left out and why."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from reedbench.report import bibliography
from reedbench.report.paper.lines import Line, Shown
from reedbench.report.paper.protocol import FIELDS
from reedbench.schema.paper import Table
from reedbench.schema.published_row import USED, Published

TAGS = {
    "P": "read in its authors' own text",
    "T": "read in somebody else's",
    "G": "digitised from a figure",
    "C": "read in released code",
}
KINDS = {
    "claim": "by the method's authors",
    "copy": "printed again",
    "rerun": "somebody else's run of the method",
}
OF_IMAGES = ("guidance", "interval", "evaluator", "vae", "labels")  # what other domains have none of
FEW = 4  # things that a remark names; of more it says how many


def of_table(shown: Shown, mark: Callable[[str], str], sources: Sequence[str], why: Sequence[str]) -> Iterator[str]:
    """Lines of plain text, still to be escaped.

    Args:
        shown: the table.
        mark: number of a source, in brackets.
        sources: the papers, in the order of their numbers.
        why: reasons of verdicts.
    """
    rows = shown.rows
    for source in sources:
        yield f"{mark(source)} {bibliography.short([source])}"
    yield _legend("Kinds: ", KINDS, (row.kind for row in rows))
    yield _legend("In brackets, how a number was read: ", TAGS, (row.tag for row in rows))
    yield from _protocol(shown)
    if shown.table.note:
        yield shown.table.note
    yield from _said(shown)
    for row in shown.overridden:
        where = f"{row.method} {row.backbone} {row.of.label} {row.printed} ({', '.join((row.source, row.place))})"
        yield f"Left out, since another claim to the same number is used: {where}{_because(row)}."
    if shown.repeated:
        few = "number that is" if len(shown.repeated) == 1 else "numbers that are"
        yield f"Left out: {len(shown.repeated)} copied {few} the same, or digitised where the number itself is printed."
    yield from why


def _legend(head: str, words: dict[str, str], used: Iterable[str]) -> str:
    found = set(used)
    return head + "; ".join(f"{key}, {text}" for key, text in words.items() if key in found) + "."


def _because(row: Published) -> str:
    return f": {row.note}" if row.note else ""


def _protocol(shown: Shown) -> Iterator[str]:
    """What all lines have in common, what differs between them, and what nobody states."""
    rows = shown.rows
    names = {"data": "data", "backbone": "network", "steps": "training steps", **FIELDS}
    common, silent = [], []
    for name, word in names.items():
        if name in shown.table.by or (name in OF_IMAGES and rows[0].domain != "image"):
            continue
        values = dict.fromkeys(str(getattr(row, name) or "") for row in rows)
        if len(values) > 1:
            yield f"Lines differ in {word}: {_who_has(rows, name, values)}."
        elif value := next(iter(values)):
            common.append(f"{word} {value}")
        elif name in FIELDS and name != "interval":
            silent.append(word)
    if common:
        yield f"Of all lines: {', '.join(common)}."
    if silent:
        yield f"Not stated by any: {', '.join(silent)}."


def _who_has(rows: Sequence[Published], name: str, values: Iterable[str]) -> str:
    parts = []
    for value in sorted(values, key=lambda value: not value):
        methods = list(dict.fromkeys(row.method for row in rows if str(getattr(row, name) or "") == value))
        who = ", ".join(methods) if len(methods) <= FEW else f"{len(methods)} methods"
        parts.append(f"{value or ('none' if name == 'interval' else 'not stated')} ({who})")
    return "; ".join(parts)


def _said(shown: Shown) -> Iterator[str]:
    """What sources say of single numbers."""
    notes: dict[str, dict[int, list[str]]] = {}
    for place, line in enumerate(shown.lines):
        for row in line.cells.values():
            if note := row.note.removeprefix(USED).strip():
                notes.setdefault(note, {}).setdefault(place, []).append(f"{row.of.label} {row.printed}")
    for note, found in notes.items():
        where = (f"{named(shown.lines[place], shown.table)} ({', '.join(said)})" for place, said in found.items())
        yield f"{'; '.join(where) if len(found) <= FEW else f'{len(found)} lines'}: {note}."


def named(line: Line, table: Table) -> str:
    """`SiT-XL/2 REPA 400,000`: what tells a line apart."""
    return " ".join(word(key, said) for key, said in zip(table.by, line.words, strict=True) if said)


def word(key: str, said: str) -> str:
    """A word of a line for people: `400,000` steps."""
    return f"{int(said):,}" if key == "steps" and said else said
