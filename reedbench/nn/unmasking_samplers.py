"""Samplers of masking diffusion, from all masked at t = 0 to clean tokens at t = 1.

Source: REED, arXiv:2507.08980, protein/fmif/fm_utils.py:89-143 @0a4527e (ancestral); MultiFlow, arXiv:2402.04997,
multiflow/data/interpolant.py:285-388 @6278899 (purity). Changes, see `ancestral`: residues that are not resolved stay
masked, X is not drawn, and a chain is evaluated again only if it has changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor

from reedbench.nn.residues import MASK, UNKNOWN, VOCABULARY

# (noisy (r, L) int64, rows (r,) int64) -> log-probabilities (r, L, 22) of the chains `rows` of the batch.
Predict = Callable[[Tensor, Tensor], Tensor]
# draw(i): uniform numbers (b, L, n) in [0, 1), float32, for transition i.
Draw = Callable[[int], Tensor]

PURITY_DRAWS: Final = VOCABULARY + 2
_COUNT, _REMASK = VOCABULARY, VOCABULARY + 1
_TINY: Final = 1e-10  # keeps the logarithm of a uniform number finite, and its negative above 0


@dataclass(frozen=True)
class Unmasked:
    """What a sampler found for a batch of chains; both sequences are masked where the weight is 0.

    Attributes:
        tokens: final state (b, L) int64.
        argmax: likeliest token at every position (b, L) int64 by the last prediction that the sampler used, which
            the reference reports as its sample: it may disagree with `tokens` at any position.
        evaluations: network evaluations of each chain (b,) int64.
    """

    tokens: Tensor
    argmax: Tensor
    evaluations: Tensor


def unmasking_grid(steps: int, least: float = 0.01) -> list[float]:
    """The `steps` equidistant times from `least` to 1, hence `steps - 1` transitions."""
    if steps < 2:
        raise ValueError(f"unmasking needs at least two times, got {steps}")
    if not 0 <= least < 1:
        raise ValueError(f"the first time must be at least 0 and less than 1, got {least}")
    return torch.linspace(least, 1, steps, dtype=torch.float64).tolist()


def race(weights: Tensor, u: Tensor) -> Tensor:
    """Scores (..., n) whose argmax follows the law that is proportional to the weights: an exponential race.

    Args:
        weights: (..., n), at least 0 and not all 0; float64, since at low temperature they span many decades.
        u: uniform draws (..., n) in [0, 1), float32.
    """
    return weights / (_TINY - torch.log(u.double() + _TINY))


def tempered(log_p: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (..., n) at a temperature -> probabilities (..., n) float64 that add up to 1."""
    return torch.softmax(log_p.double() / temperature, dim=-1)


@torch.no_grad()
def ancestral(
    predict: Predict,
    weight: Tensor,
    draw: Draw,
    *,
    steps: int,
    temperature: float = 0.1,
    least: float = 0.01,
    allow_unknown: bool = False,
    lazy: bool = True,
) -> Unmasked:
    """Unmask by exact steps of the masking process, from time t to s with probability (s - t) / (1 - t) per residue.

    A residue is never masked again, and a new token is drawn from the prediction at a temperature. A sample depends
    on the uniform numbers of its own chain alone: the caller draws a chain's rows (L_chain, 22) from a stream of its
    own, one transition after the other, and pads them. Then batches and padding change nothing but the rounding of
    the network.

    Args:
        predict: the network; what it says about masked and unknown tokens is ignored.
        weight: (b, L); where it is 0 (unresolved residues, padding) the mask stays, as in training. The reference
            unmasks these too.
        draw: draw(i) is (b, L, 22), one number per token. Called for i = 0, 1, ... in order; lazy sampling leaves
            out the last ones if nothing is masked any more.
        steps: times of the grid, one more than transitions.
        temperature: log-probabilities are divided by it.
        least: first time of the grid.
        allow_unknown: X may be drawn, and be the argmax, as in the reference.
        lazy: evaluate only chains that have changed since their last evaluation. The samples are the same, with at
            most L + 1 evaluations per chain instead of `steps - 1`.

    Raises:
        ValueError: there are fewer than two steps, or a temperature, time or noise is out of range.
    """
    chains = _Chains(predict, weight, temperature, allow_unknown=allow_unknown, lazy=lazy)
    for i, (now, after) in enumerate(pairwise(unmasking_grid(steps, least))):
        chains.look()
        masked = chains.masked()
        if lazy and not masked.any():
            break
        rates = tempered(chains.log_p[masked], temperature) * (after - now)
        rates[:, MASK] = 1 - after
        chains.tokens[masked] = race(rates, draw(i)[masked]).argmax(-1)
    return chains.found()


@torch.no_grad()
def purity(
    predict: Predict,
    weight: Tensor,
    draw: Draw,
    *,
    steps: int,
    temperature: float = 0.1,
    noise: float = 20.0,
    least: float = 0.01,
    allow_unknown: bool = False,
    lazy: bool = True,
) -> Unmasked:
    """Unmask where the network is surest, and mask some residues again to correct them.

    In a transition from t to s, the number to unmask follows Binomial(masked, min(1, (s - t) (1 + noise t) / (1 - t)));
    those with the largest max_j log p_j at the temperature come first, on a tie the one nearer the start of the chain.
    Then every residue is masked again with probability noise (s - t), except in the last transition, which unmasks
    all. MultiFlow (where noise is 20) does so there too, then evaluates the network once more and reports the argmax.

    Arguments, result and errors are as in `ancestral`, but draw(i) is (b, L, 24): 22 numbers for the token, one that
    decides whether this residue adds one to the number to unmask, and one that decides whether it is masked again.
    Noise changes chains often, so that lazy sampling then saves little.
    """
    if noise < 0:
        raise ValueError(f"the rate of masking again must be at least 0, got {noise}")
    chains = _Chains(predict, weight, temperature, allow_unknown=allow_unknown, lazy=lazy)
    for i, (now, after) in enumerate(pairwise(unmasking_grid(steps, least))):
        chains.look()
        masked = chains.masked()
        if lazy and noise == 0 and not masked.any():
            break
        u = draw(i)
        # In the last transition (after - now) / (1 - now) is exactly 1: all are unmasked.
        rate = (after - now) * (1 + noise * now) / (1 - now)
        chosen = _surest(chains.log_p, temperature, masked, number=(masked & (u[..., _COUNT] < rate)).sum(1))
        p = tempered(chains.log_p[chosen], temperature)
        chains.tokens[chosen] = race(p, u[chosen][:, :VOCABULARY]).argmax(-1)
        if after < 1:
            chains.tokens[u[..., _REMASK] < noise * (after - now)] = MASK
    return chains.found()


def _surest(log_p: Tensor, temperature: float, masked: Tensor, number: Tensor) -> Tensor:
    """(b, L) bool: the `number` (b,) of masked positions (b, L) whose likeliest token is the likeliest.

    They are ranked by the odds against that token, which orders them as max_j log p_j does but can still tell apart
    positions at which this has been rounded to 0.
    """
    scores = log_p[masked].double() / temperature
    best, token = scores.max(-1)
    others = scores.scatter(-1, token[:, None], -torch.inf)
    doubt = torch.full(masked.shape, torch.inf, dtype=scores.dtype, device=scores.device)
    doubt[masked] = torch.logsumexp(others, -1) - best
    rank = doubt.argsort(dim=1, stable=True).argsort(dim=1)
    return rank < number[:, None]


class _Chains:
    """A batch of chains on its way, with the newest prediction for each."""

    def __init__(
        self, predict: Predict, weight: Tensor, temperature: float, *, allow_unknown: bool, lazy: bool
    ) -> None:
        if temperature <= 0:
            raise ValueError(f"the temperature must be above 0, got {temperature}")
        self.predict, self.live, self.lazy = predict, weight > 0, lazy
        self.never = [MASK] if allow_unknown else [UNKNOWN, MASK]
        self.tokens = torch.full(weight.shape, MASK, dtype=torch.int64, device=weight.device)
        self.seen = torch.full_like(self.tokens, -1)  # what a chain was when last evaluated; at first nothing
        self.log_p = torch.empty(0)
        self.evaluations = torch.zeros_like(self.tokens[:, 0])

    def look(self) -> None:
        """Evaluate the chains that have changed since their last evaluation, or all."""
        changed = (self.tokens != self.seen).any(1) if self.lazy else torch.ones_like(self.live[:, 0])
        rows = changed.nonzero()[:, 0]
        if len(rows) == 0:
            return
        log_p = self.predict(self.tokens[rows], rows).clone()
        log_p[..., self.never] = -torch.inf
        if len(rows) == len(self.tokens):
            self.log_p = log_p
        else:
            self.log_p[rows] = log_p
        self.seen = self.tokens.clone()
        self.evaluations[rows] += 1

    def masked(self) -> Tensor:
        """(b, L) bool: where a token is still to be drawn."""
        return self.live & (self.tokens == MASK)

    def found(self) -> Unmasked:
        """The result, from the current tokens and the newest predictions."""
        return Unmasked(self.tokens, self.log_p.argmax(-1).masked_fill(~self.live, MASK), self.evaluations)
