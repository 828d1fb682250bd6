"""How encoders are trained in the suite: AdamW, twenty steps of warm-up, then a cosine."""

from collections.abc import Callable, Sequence
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
    import torch
    from torch import nn

    optimiser = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimiser, FIRST, total_iters=WARM_UP)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses: list[float] = []
    with Track(title, steps) as track:
        for step in range(steps):
            loss = loss_of_next()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, clip)
            optimiser.step()
            cosine.step()
            warm_up.step()
            losses.append(loss.item())
            track.update(step + 1, loss=losses[-1])
    return losses
