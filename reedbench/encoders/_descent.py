"""How encoders are trained in the suite: AdamW, twenty steps of warm-up, then a cosine."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reedbench.core.console import Track

WARM_UP = 20  # steps
FIRST = 0.05  # share of the learning rate at the first of them


def descend(
    parameters: Sequence[Any],
    loss_of_next: Callable[[], Any],
    *,
    title: str,
    steps: int,
    lr: float,
    weight_decay: float,
    clip: float,
) -> list[float]:
    """Take steps against the gradient, and give the loss before each.

    Args:
        parameters: what is trained.
        loss_of_next: the loss of the next batch, a scalar tensor.
        title: of the progress bar.
        steps: how many.
        lr: peak learning rate.
        weight_decay: decoupled.
        clip: largest norm of a gradient.
    """
    from torch import nn

    from reedbench.nn.adamw import AdamW

    optimiser = AdamW(parameters, lr=lr, weight_decay=weight_decay)
    losses: list[float] = []
    with Track(title, steps) as track:
        for step, optimiser.lr in enumerate(rates(lr, steps), 1):
            loss = loss_of_next()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, clip)
            optimiser.step()
            losses.append(loss.item())
            track.update(step, loss=losses[-1])
    return losses


def rates(peak: float, steps: int) -> Iterator[float]:
    """Learning rate of every step, each from the one before, as torch's LinearLR and CosineAnnealingLR round them."""
    rate = peak * FIRST
    for done in range(1, steps + 1):
        yield rate
        rate *= (1 + math.cos(math.pi * done / steps)) / (1 + math.cos(math.pi * (done - 1) / steps))
        if done <= WARM_UP:
            rate *= 1 + (1 - FIRST) / (WARM_UP * FIRST + (done - 1) * (1 - FIRST))
