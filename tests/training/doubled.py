"""Learners in float64, for tests that compare gradients."""

from typing import Any

import torch


def cast(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating-point tensors of a batch in float64."""
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in batch.items()}


def double(learner: Any) -> None:
    """Make network and completed batches float64; what is drawn keeps its values."""
    completed = learner.completed
    learner.network.double()
    learner.completed = lambda batch, total: completed(cast(batch), total)
