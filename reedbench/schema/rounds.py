"""Rounds: a method that is trained several times over, each time with the last one as its teacher, written once.

    spin: {rounds: {times: 3, of: {uses: self-play, ...}, first: {method: sit, step: 800}}}

stands for the methods `spin.1` (teacher: sit at step 800), `spin.2` (teacher: spin.1 at its last step) and `spin.3`.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from reedbench.core.errors import Problem, did_you_mean
from reedbench.schema.loading import Document, Key, merge_bases

KEYS = ("times", "of", "first", "each")
MOST = 100
AT_ITS_END = object()  # the step of a teacher whose length is known once bases are merged


def resolve(document: Document, section: str) -> list[Problem]:
    """Write out the entries of `section` that say `rounds` or `base`, in place; faulty ones are left out."""
    problems = [*_expand(document, section), *merge_bases(document, section)]
    entries = document.values.get(section)
    if isinstance(entries, dict):
        last = _last(document.values.get("evaluate"))
        document.values[section] = {name: _ended(entry, entries, last) for name, entry in entries.items()}
    return problems


def _ended(entry: Any, entries: Mapping[Hashable, Any], last: Any) -> Any:
    """The entry with the step of its teacher where that is the round before: of its own length, or the last one."""
    teacher = entry.get("teacher") if isinstance(entry, Mapping) else None
    if not isinstance(teacher, Mapping) or teacher.get("step") is not AT_ITS_END:
        return entry
    length = entries.get(teacher["method"], {}).get("steps")
    return {**entry, "teacher": {**teacher, "step": last if length is None else length}}


def _expand(document: Document, section: str) -> list[Problem]:
    """Replace each entry of `section` that says `rounds` by an entry per round, in place; faulty ones are left out."""
    entries = document.values.get(section)
    if not isinstance(entries, dict):
        return []
    problems: list[Problem] = []
    expanded: dict[Hashable, Any] = {}
    for name, entry in entries.items():
        if not isinstance(entry, Mapping) or "rounds" not in entry:
            expanded[name] = entry
            continue
        here: Key = (section, str(name))
        if faults := list(_faults(entry)) or [
            ((), f"makes a method {one}, and there is one already; rename it")
            for one in (f"{name}.{i}" for i in range(1, entry["rounds"]["times"] + 1))
            if one in entries
        ]:
            problems += [document.problem((*here, *key), message) for key, message in faults]
            continue
        for i, one in enumerate(_each(str(name), entry["rounds"]), 1):
            expanded[f"{name}.{i}"] = one
            _note(document, (*here, "rounds", "of"), (section, f"{name}.{i}"))
    document.values[section] = expanded
    return problems


def _faults(entry: Mapping[Any, Any]) -> Iterator[tuple[Key, str]]:
    rounds = entry["rounds"]
    for other in entry.keys() - {"rounds"}:
        yield (str(other),), "stands beside rounds; put it into rounds.of"
    if not isinstance(rounds, Mapping):
        yield ("rounds",), f"must be a mapping of {', '.join(KEYS)}, got {rounds!r}"
        return
    for unknown in [key for key in rounds if key not in KEYS]:
        yield ("rounds", str(unknown)), f"unknown key{did_you_mean(str(unknown), KEYS)} (allowed: {', '.join(KEYS)})"
    times = rounds.get("times")
    whole = isinstance(times, int) and not isinstance(times, bool) and 1 <= times <= MOST
    if not whole:
        yield ("rounds", "times"), f"must be a whole number from 1 to {MOST}, got {times!r}"
    for key, what in (("of", "the settings of a round"), ("first", "the teacher of the first round")):
        if not isinstance(rounds.get(key), Mapping):
            yield ("rounds", key), f"must be {what}, got {rounds.get(key)!r}"
        elif "teacher" in rounds[key]:
            yield ("rounds", key, "teacher"), "is what rounds give: take it out"
    each = rounds.get("each", {})
    if not isinstance(each, Mapping):
        yield ("rounds", "each"), f"must be lists of one value per round, by setting, got {each!r}"
        return
    for key, found in each.items():
        if not isinstance(found, list) or (whole and len(found) != times):
            yield ("rounds", "each", str(key)), f"must be a list of {times} values, one per round"
        elif isinstance(rounds.get("of"), Mapping) and key in rounds["of"]:
            yield ("rounds", "each", str(key)), "is given in rounds.of too; keep one"


def _each(name: str, rounds: Mapping[Any, Any]) -> Iterator[dict[Any, Any]]:
    """Settings of every round: those of all, its own, a label with its number, and its teacher."""
    teacher = dict(rounds["first"])
    for i in range(rounds["times"]):
        own = {key: found[i] for key, found in rounds.get("each", {}).items()}
        entry = {**rounds["of"], **own}
        if "label" not in own and isinstance(label := entry.get("label"), str):
            entry["label"] = f"{label}, round {i + 1}"
        yield {**entry, "teacher": teacher}
        teacher = {"method": f"{name}.{i + 1}", "step": AT_ITS_END}


def _last(evaluate: Any) -> Any:
    """The last evaluation, of a file that may still be faulty."""
    return (
        max((step for step in evaluate if isinstance(step, int)), default=None) if isinstance(evaluate, list) else None
    )


def _note(document: Document, written: Key, stands: Key) -> None:
    """Lines of a round are those of what it was written as."""
    found = {key: line for key, line in document.lines.items() if key[: len(written)] == written}
    document.lines |= {(*stands, *key[len(written) :]): line for key, line in found.items()}
