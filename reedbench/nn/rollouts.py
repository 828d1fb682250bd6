"""A sampler's steps as a policy: transitions and their log-density, rollouts, advantages, and a clipped ratio.

Source: large-scale reinforcement learning for diffusion models, arXiv:2401.12244, equations 8 and 10;
the log-density is a mean over elements as in the public code of DDPO (arXiv:2305.13301).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from reedbench.core.constants import SDE_LAST_STEP
from reedbench.nn.interpolants import Interpolant, expand, score_from_velocity
from reedbench.nn.learner import Batch
from reedbench.nn.samplers import sde_grid

DEVIATION_EPS: Final = 1e-8  # added to the standard deviation of rewards


def transition(path: Interpolant, velocity: Tensor, x: Tensor, now: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (b, ...) and variance (b,) of a step of Euler-Maruyama from `now` to `after`, (b,) each.

    With w(t) = 1 - t and the score s it is x + dt (v + w s), and 2 w dt.
    """
    dt = after - now
    drift = velocity + expand(1 - now, x) * score_from_velocity(path, velocity, x, now)
    return x + expand(dt, x) * drift, 2 * (1 - now) * dt


def log_density(x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Of x (b, ...) under a normal law, a mean over elements: (b,). So one range of clipping is right for any size."""
    spread = expand(variance, x)
    return (-((x - mean).square() / spread + torch.log(2 * torch.pi * spread)) / 2).flatten(1).mean(1)


def advantages(rewards: Tensor, total: Callable[[Tensor], Tensor] = lambda own: own) -> Tensor:
    """Rewards (b,), standardised over the global batch."""
    r = rewards.double()
    sums = total(torch.stack([torch.full_like(r, 1).sum(), r.sum(), r.square().sum()])).to(r.device)
    mean = sums[1] / sums[0]
    variance = (sums[2] / sums[0] - mean.square()).clamp(min=0)
    return ((r - mean) / (variance.sqrt() + DEVIATION_EPS)).to(rewards.dtype)


def clipped(advantage: Tensor, ratio: Tensor, clip: float) -> Tensor:
    """The larger of two losses, (b,): that of the ratio, and that of the ratio within `clip` of 1."""
    return torch.maximum(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip))


@dataclass(frozen=True)
class Rollouts:
    """Of a rank's rows: the transitions that are learned from, and how good their samples were.

    Attributes:
        x: where each of K transitions started, (K, b, ...).
        after: where it ended.
        now: when it started, (K, b).
        then: when it ended.
        advantage: (b,).
        reward: (b,).
    """

    x: Tensor
    after: Tensor
    now: Tensor
    then: Tensor
    advantage: Tensor
    reward: Tensor


@torch.no_grad()
def rolled_out(
    velocity: Callable[[Tensor, Tensor, Tensor], Tensor],
    batch: Batch,
    path: Interpolant,
    steps: int,
    noise: Callable[[int], Tensor],
) -> tuple[Tensor, list[Tensor]]:
    """Samples, and of the kept transitions x, after, now and then, each with K as first axis.

    Args:
        velocity: of the old policy, of x, t and y.
        batch: `start` (b, ...), noise; `asked` (b,), labels; `kept` (b, K), numbers of transitions.
        path: of the flow.
        steps: of the sampler, the last of which is without noise and is not kept.
        noise: standard normal numbers of a step.
    """
    x, kept = batch["start"], batch["kept"].T
    found = [x.new_zeros(len(kept), *x.shape), x.new_zeros(len(kept), *x.shape)]
    times = [x.new_zeros(kept.shape), x.new_zeros(kept.shape)]
    moves = list(pairwise(sde_grid(steps, SDE_LAST_STEP)))
    for i, (now, then) in enumerate(moves):
        at, until = x.new_full((len(x),), now), x.new_full((len(x),), then)
        mean, variance = transition(path, velocity(x, at, batch["asked"]).to(x.dtype), x, at, until)
        after = mean + expand(variance.sqrt(), x) * noise(i).to(x) if i < len(moves) - 1 else mean
        chosen = kept == i
        for store, value in zip(found, (x, after), strict=True):
            store[chosen] = value.expand(len(kept), *x.shape)[chosen]
        for store, value in zip(times, (at, until), strict=True):
            store[chosen] = value.expand(kept.shape)[chosen]
        x = after
    return x, [*found, *times]
