"""What a method says of its own training must make sense beside what its benchmark says of all."""

from collections.abc import Iterator
from typing import Any

from reedbench.schema.loading import Key

Finding = tuple[Key, str]


def on_own_training(b: Any) -> Iterator[Finding]:
    """Of every method: its own length lies on the grid, its optimiser says something, and does not end before it."""
    every = b.train.save_every
    for name, method in b.methods.items():
        if method.own_step() is not None:
            continue
        if (length := method.length()) is not None and length % every:
            yield ("methods", name, "steps"), f"{length} is off the grid: not a multiple of train.save_every ({every})"
        own: Key = ("methods", name, "optimiser") if method.optimiser else ("train", "optimiser")
        try:
            train = method.own_training(b.train)
        except ValueError as error:
            yield own, str(error)
            continue
        if method.ema_decay == b.train.ema_decay:
            yield ("methods", name, "ema_decay"), "train.ema_decay says the same; take it out"
        if method.optimiser is not None and train.optimiser == b.train.optimiser:
            yield own, "train.optimiser says the same; take it out"
        last, end = length or max(b.evaluate), train.optimiser.decay_over
        if (misfit := method.misfit(train, last)) is not None:
            yield ("methods", name), misfit
        if end and last > end:
            why = f"{end}: the learning rate is 0 from there on, and {name} is evaluated at step {last}"
            yield (*own, "decay_over"), f"{why}; raise it, or train less"
