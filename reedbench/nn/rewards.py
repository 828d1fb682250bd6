"""Rewards of samples, from what a classifier predicts of them: of single ones, and of a group for its spread."""

import torch
from torch import Tensor


def parity(predicted: Tensor, asked: Tensor) -> Tensor:
    """Log-probabilities (b, classes) and labels (b,) -> the share of the right parity, (b,)."""
    same = (torch.arange(predicted.shape[1], device=predicted.device)[None] - asked[:, None]) % 2 == 0
    return (predicted.exp() * same).sum(1)


def of_class(predicted: Tensor, asked: Tensor) -> Tensor:
    """Log-probabilities (b, classes) and labels (b,) -> that of the label, (b,)."""
    return predicted.gather(1, asked[:, None])[:, 0]


def even_spread(counts: Tensor) -> Tensor:
    """Minus the squared distance of the shares of classes, by the numbers of their samples (..., classes), from equal.

    The reward of a distribution over a small batch, of arXiv:2401.12244: (...,).
    """
    share = counts / counts.sum(-1, keepdim=True)
    return -(share - 1 / counts.shape[-1]).square().sum(-1)


def spread_of(predicted: Tensor, group: int) -> Tensor:
    """Log-probabilities (b, classes) -> how evenly the samples of each row's group fall into classes, (b,)."""
    found = torch.zeros_like(predicted).scatter_(1, predicted.argmax(1, keepdim=True), 1.0)
    return even_spread(found.unflatten(0, (-1, group)).sum(1)).repeat_interleave(group)
