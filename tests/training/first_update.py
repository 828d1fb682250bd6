"""The gradient of a trainer's first update, read from what the optimiser keeps of it."""

from typing import Any

import torch
from torch import Tensor

MOMENTS = "optimiser/exp_avg/"


def gradients(trainer: Any, step: int = 0) -> dict[str, Tensor]:
    """By parameter: the first moment is 1 - beta_1 of it."""
    trainer.update(step)
    share = 1 - trainer.settings.optimiser.betas[0]
    moments = {name: moment for name, moment in trainer.state().items() if name.startswith(MOMENTS)}
    return {name.removeprefix(MOMENTS): moment / share for name, moment in moments.items()}


def gradient(trainer: Any, step: int = 0) -> Tensor:
    """Of all parameters in one vector."""
    return torch.cat([one.flatten() for one in gradients(trainer, step).values()])
