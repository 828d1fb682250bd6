"""Which of the papers' numbers a part of config/paper.yaml means."""

from collections.abc import Iterable, Sequence

from reedbench.core import paths
from reedbench.core.errors import ConfigError, Problem, unknown
from reedbench.schema.paper import Where
from reedbench.schema.published import select
from reedbench.schema.published_row import Published


def chosen(everything: Sequence[Published], where: Where, but: Where | None, at: str) -> tuple[Published, ...]:
    """Rows that are as `where` says and not as `but` says, in their order.

    Args:
        everything: all rows, among which every value that is asked for must occur.
        where: the conditions, all of which must hold.
        but: the conditions under which a row is left out, where all of them hold.
        at: key of config/paper.yaml, for messages.

    Raises:
        ConfigError: a value occurs nowhere, or no row is left.
    """
    found = _matching(everything, where, f"{at}.where")
    left_out = set() if but is None else set(_matching(everything, but, f"{at}.but"))
    if not (kept := tuple(row for row in found if row not in left_out)):
        raise wrong(f"{at}.where", "no number of config/reference has all of this at once")
    return kept


def _matching(everything: Sequence[Published], where: Where, at: str) -> tuple[Published, ...]:
    try:
        found = select(everything, **where.columns)
    except ConfigError as error:
        raise wrong(at, str(error)) from error
    for key, values in where.settings.items():
        there = {setting_of(row, key): None for row in everything}
        if set(there) == {""}:
            raise wrong(f"{at}.settings", unknown("key", key, setting_keys(everything)))
        if absent := [value for value in values if value not in there]:
            raise wrong(f"{at}.settings.{key}", unknown("value", absent[0], filter(None, there)))
        found = tuple(row for row in found if setting_of(row, key) in values)
    return found


def setting_of(row: Published, key: str) -> str:
    """A key of a row's setting; empty where it has none."""
    return row.settings.get(key, "")


def setting_keys(rows: Iterable[Published]) -> set[str]:
    """All keys that settings have."""
    return {key for row in rows for key in row.settings}


def wrong(key: str, message: str) -> ConfigError:
    """What is wrong with a key of config/paper.yaml."""
    return ConfigError([Problem(paths.PAPER, key, message)])
