"""A method in words, as `reedbench method` prints it: what it is, and under which settings a benchmark has it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reedbench.core import plugins
from reedbench.core.errors import ConfigError, unknown
from reedbench.core.frozen import Frozen
from reedbench.objectives import AbstractMethod
from reedbench.objectives._card import Card
from reedbench.report import bibliography
from reedbench.report.escaping import escaped, table
from reedbench.schema.suite import Suite

TIERS = {
    "unstated": "unstated: its author does not say how near it is to what was published",
    "faithful": "faithful: the published loss",
    "adaptation": "adaptation: carried over to a setting that the paper did not have",
    "own data": "own data: compared on data of its own, never beside rows on other data",
}
OPEN = "none declared"
HEAD = ("method", "paper", "tier", "objective", "benchmarks")


@dataclass(frozen=True)
class Setting:
    """One setting: its key, its value as YAML has it, and what it means."""

    key: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Page:
    """What is printed of a method.

    Attributes:
        title: `REPA (digits/repa)`, or the name of an objective.
        what: the first paragraph of its plugin's documentation.
        card: its words.
        heading: what the settings are.
        settings: those that a benchmark's method has, or all of an objective.
        used: benchmarks with their methods that use the objective.
    """

    title: str
    what: str
    card: Card
    heading: str
    settings: Sequence[Setting]
    used: Sequence[str] = ()

    def facts(self) -> Iterator[tuple[str, str]]:
        """What its card says, by name."""
        yield "what", self.what
        yield "formula", self.card.formula or "not said"
        yield "source", self.card.source or "not said"
        yield "tier", TIERS[self.card.tier]
        yield "choices of ours", "; ".join(self.card.choices) or OPEN
        yield "cost", self.card.cost or "not said"
        if self.used:
            yield "used by", ", ".join(self.used)


def named(name: str, suite: Suite | None) -> Page:
    """The page of an objective (`dispersive`), or of a benchmark's method (`digits/reed`).

    Raises:
        ConfigError: there is none of this name.
    """
    known = plugins.discover("objectives")
    if "/" in name:
        benchmark, _, method = name.partition("/")
        if suite is None:
            raise ConfigError(f"{name}: there are no benchmarks here; name an objective ({', '.join(known)})")
        methods = suite.benchmark(benchmark).methods
        if method not in methods:
            raise ConfigError(unknown(f"method of {benchmark}", method, methods))
        return _of_method(name, methods[method])
    benchmarks = {} if suite is None else suite.benchmarks
    if name in known:
        used = {b: [m for m, one in spec.methods.items() if one.uses == name] for b, spec in benchmarks.items()}
        return _of_objective(name, known[name], [f"{b} ({', '.join(own)})" for b, own in used.items() if own])
    if having := [f"{b}/{name}" for b, spec in benchmarks.items() if name in spec.methods]:
        raise ConfigError(f"'{name}' is a method of benchmarks: name one of {', '.join(having)}")
    raise ConfigError(f"{unknown('objective', name, known)}; a benchmark's method is named as in digits/repa")


def _of_method(name: str, method: AbstractMethod) -> Page:
    card = method.card()
    family = f"{card.name}, " if card.name and card.name != method.label else ""
    heading = f"settings that differ from the defaults of {method.uses}"
    title = f"{method.label} ({family}{name})"
    return Page(title, _first_paragraph(type(method)), card, heading, list(_differing(method)))


def _of_objective(name: str, plugin: type[Any], used: Sequence[str]) -> Page:
    fields = {key: field for key, field in plugin.model_fields.items() if key != "uses"}
    said = plugin.descriptions()
    settings = [
        Setting(key, "required" if field.is_required() else _shown(field.get_default()), _line(said[key]))
        for key, field in fields.items()
    ]
    return Page(name, _first_paragraph(plugin), plugin.general(), "settings and their defaults", settings, used)


def _differing(one: Frozen, place: str = "") -> Iterator[Setting]:
    """Settings that are not the defaults, down into what they hold."""
    said = one.descriptions()
    for key, field in type(one).model_fields.items():
        value = getattr(one, key)
        if key == "uses" or value == field.get_default(call_default_factory=True):
            continue
        if isinstance(value, tuple) and value and all(isinstance(entry, Frozen) for entry in value):
            for i, entry in enumerate(value):
                yield from _differing(entry, f"{place}{key}[{i}].")
        elif isinstance(value, Frozen):
            yield from _differing(value, f"{place}{key}.")
        else:
            yield Setting(f"{place}{key}", _shown(value), _line(said[key]))


def _shown(value: Any) -> str:
    """As YAML has it."""
    if isinstance(value, Frozen):
        return _shown(value.plain())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if value != "" else '""'


def _first_paragraph(plugin: type[Any]) -> str:
    return _line((plugin.__doc__ or "").split("\n\n")[0])


def _line(text: str) -> str:
    return " ".join(text.split())


def text(page: Page) -> list[str]:
    """As plain lines."""
    facts = dict(page.facts())
    width = max(map(len, facts)) + 2
    lines = [page.title, *(f"  {name:<{width}}{words}" for name, words in facts.items()), f"  {page.heading}:"]
    lines += [f"    {one.key}: {one.value}" + (f"  # {one.meaning}" if one.meaning else "") for one in page.settings]
    return [*lines, "", *_cited(page)]


def markdown(page: Page) -> list[str]:
    """As a section of a Markdown page."""
    lines = [f"## {escaped(page.title)}", ""]
    lines += [f"- **{name}**: {escaped(words)}" for name, words in page.facts()]
    lines += ["", f"{page.heading[0].upper()}{page.heading[1:]}:", ""]
    cells = [(f"`{one.key}`", escaped(one.value), escaped(one.meaning)) for one in page.settings]
    lines += table(("key", "value", "meaning"), cells)
    return [*lines, "", "```bibtex", *_cited(page), "```"]


def _cited(page: Page) -> list[str]:
    found, absent = bibliography.bibtex(page.card.cites)
    more = [f"% no entry for {key}: put one into {bibliography.FILE} in the folder of plugins" for key in absent]
    return "\n\n".join([*found, *more]).splitlines() or ["% it cites nothing"]


def overview(suite: Suite) -> list[str]:
    """The methods of all tables as a Markdown table; those of one label and one card are one row."""
    known = bibliography.entries()
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, spec in suite.benchmarks.items():
        for method in (spec.methods[m] for m in spec.table):
            card = method.card()
            papers = ", ".join(_paper(known[key]) if key in known else f"`{key}`" for key in card.cites)
            row = (escaped(method.label), papers, escaped(card.standing))
            rows.setdefault((*row, f"`{method.uses}`"), []).append(f"`{name}`")
    return table(HEAD, [(*row, ", ".join(benchmarks)) for row, benchmarks in rows.items()])


def _paper(entry: bibliography.Entry) -> str:
    label = entry.short.partition(", ")[0]
    return f"[{escaped(label)}]({entry.link})" if entry.link else escaped(label)
