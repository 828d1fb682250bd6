"""Which sampler draws from which method, and at which steps: both must be there, and fit each other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reedbench.core.errors import unknown
from reedbench.schema import pool_names
from reedbench.schema.loading import Key

Finding = tuple[Key, str]


def on_samplers(b: Any) -> Iterator[Finding]:
    """All findings."""
    yield from _only_at(b)
    if not b.samplers:
        yield ("samplers",), "needs at least one sampler"
    for m, method in b.methods.items():
        yield from _drawn_by(("methods", m, "samplers"), method.samplers, b.samplers)
    for name, sampler in b.samplers.items():
        if pool_names.of_training(name):
            yield ("samplers", name), f"may not end in {pool_names.END}, as pools of training rows do: rename it"
        asked = {m: method for m, method in b.methods.items() if name in (method.samplers or b.samplers)}
        if b.methods and not asked:
            yield ("samplers", name), "no method lets it draw: name it in the `samplers` of one, or take it out"
        unfit = {m: sampler.unfit(method) for m, method in asked.items()}
        if why := next(((m, said) for m, said in unfit.items() if said is not None), None):
            yield ("samplers", name), f"cannot draw from method '{why[0]}': {why[1]}"


def _only_at(b: Any) -> Iterator[Finding]:
    first, last = next(iter(b.samplers), None), max(b.evaluate)
    for name, steps in b.only_at.items():
        key: Key = ("only_at", name)
        if name not in b.samplers:
            yield key, unknown("sampler", name, b.samplers)
        elif name == first:
            yield key, "the first sampler's samples are shown over training: it draws at all steps"
        elif list(steps) == list(b.evaluate):
            yield key, "lists all steps of `evaluate`, as if it were left out; leave it out"
        elif list(steps) != sorted(set(steps)):
            yield key, "must list increasing steps, each once"
        elif others := sorted(set(steps).difference(b.evaluate)):
            yield key, f"step {others[0]} is not among those of `evaluate`"
        elif last not in steps:
            yield key, f"must have the last step of `evaluate` ({last}), at which methods are compared"


def _drawn_by(key: Key, chosen: Sequence[str] | None, samplers: Mapping[str, Any]) -> Iterator[Finding]:
    """Of a method's own list of samplers."""
    if chosen is not None and not chosen:
        yield key, "names none: a method without samples has no numbers; leave it out for all"
    for i, name in enumerate(chosen or ()):
        if name not in samplers:
            yield (*key, i), unknown("sampler", name, samplers)
        elif name in (chosen or ())[:i]:
            yield (*key, i), f"'{name}' is listed twice"
