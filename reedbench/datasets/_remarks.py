"""What a reader of files noticed, in one line for whoever prepares the data."""

from collections.abc import Iterable, Mapping
from typing import Any

MANY = 5  # names that are shown of each kind


def noticed(facts: Mapping[str, Any], keys: Iterable[str]) -> list[str]:
    """One line with those of the facts that are there and not 0, or none.

    Args:
        facts: numbers, or numbers (or reasons, which are counted) by name.
        keys: their names, with _ for spaces.
    """
    parts = [f"{key.replace('_', ' ')}: {_words(facts[key])}" for key in keys if facts.get(key)]
    return ["; ".join(parts)] if parts else []


def _words(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    numbers = all(isinstance(count, int) for count in value.values())
    total = sum(value.values()) if numbers else len(value)
    shown = [f"{name} {count}" if numbers else name for name, count in list(value.items())[:MANY]]
    return f"{total} ({', '.join(shown)}{', ...' if len(value) > MANY else ''})"
