"""Alignment of hidden states to the features of frozen encoders: taps, projectors, cosines, and weights over time.

One place for all domains: a learner adds what is its own (which entries count, what the network reads).

Source: REPA, arXiv:2410.06940; REED image/loss.py:98-225 @0a4527e (time weights), with t reversed; iREPA,
arXiv:2512.10794 (convolution, standardisation of every image's targets).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.initialisation import GeneratorFor, as_torch_does, fill, xavier_uniform
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor

Norm = Literal["none", "batch", "reference", "spatial"]
Pooling = Literal["mean", "sum"]
Law = Literal["xavier", "torch", "semla"]
EPS = 1e-6  # added to standard deviations


class Projector(nn.Sequential):
    """Linear layers with SiLU in between, from the width of the backbone to the width of the encoder.

    Source: three layers, REPA models/sit.py:17 @67f7145; two, REED protein/fmif/model_utils.py:558-569 @0a4527e. The
    keys of the state dict are 0, 2 (and 4), as there.

    Args:
        width: of the backbone.
        hidden: width in between.
        dim: of the encoder.
        layers: how many are linear.
        law: of the first weights, as the references have them; `xavier` (biases 0), that of `torch`, or `semla`
            (weights Xavier's, biases torch's).
    """

    def __init__(self, width: int, hidden: int, dim: int, *, layers: int = 3, law: Law = "xavier") -> None:
        widths = [width, *[hidden] * (layers - 1), dim]
        made = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.SiLU())]
        super().__init__(*made[:-1])
        self.law = law

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name."""
        if self.law != "xavier":
            as_torch_does(self, generator_for)
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and self.law != "torch":
                xavier_uniform(parameter, generator_for(name))
            elif self.law == "xavier":
                fill(parameter, 0.0)


class ConvProjector(nn.Sequential):
    """One convolution over the square grid of tokens, without a nonlinearity.

    Source: iREPA, arXiv:2512.10794, 3x3 as the paper says.
    """

    def __init__(self, width: int, dim: int, kernel: int = 3) -> None:
        super().__init__(nn.Conv2d(width, dim, kernel, padding=kernel // 2))

    def forward(self, h: Tensor) -> Tensor:
        """(b, n, width), row by row -> (b, n, dim)."""
        side = math.isqrt(h.shape[1])
        (convolution,) = self
        projected: Tensor = convolution(h.transpose(1, 2).reshape(len(h), -1, side, side))
        return projected.flatten(2).transpose(1, 2)

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name, by torch's law."""
        as_torch_does(self, generator_for)


@dataclass(frozen=True)
class Tap:
    """One alignment as every loss sees it; domains add to it.

    Attributes:
        term: name of its loss term.
        encoder: whose representations are the target.
        place: what the backbone takes as a tap.
        weight: coefficient w_j.
        norm: how targets are standardised, see `standardised`.
        share: of the mean, that `spatial` subtracts.
        probe: the projector learns, the backbone does not feel it.
        pooled: hidden tokens become one vector before the projector (targets that are one vector per datum).
        pooling: how: their mean, or their sum.
    """

    term: str
    encoder: str
    place: Any
    weight: float
    norm: Norm = "none"
    share: float = 1.0
    probe: bool = False
    pooled: bool = False
    pooling: Pooling = "mean"

    @property
    def target(self) -> str:
        """Key of its representations in a batch."""
        return f"target/{self.encoder}"

    @property
    def aligned(self) -> str:
        """Key of what the projection is compared with."""
        return f"aligned/{self.term}"


class TappedNetwork(nn.Module):
    """A backbone that hands out hidden states: `backbone(*inputs, taps=places)` returns its output and those."""

    def __init__(self, backbone: nn.Module, places: Sequence[Any]) -> None:
        super().__init__()
        self.backbone, self.places = backbone, tuple(places)

    def forward(self, *inputs: Any, wanted: Sequence[int] | None = None, **named: Any) -> tuple[Tensor, list[Tensor]]:
        """Output, and hidden states in order.

        Args:
            inputs: of the backbone.
            named: of the backbone.
            wanted: numbers of the places whose states are computed; None: all.
        """
        chosen = range(len(self.places)) if wanted is None else wanted
        output, hidden = self.backbone(*inputs, taps=[self.places[i] for i in chosen], **named)
        return output, [self.handed_out(i, h) for i, h in zip(chosen, hidden, strict=True)]

    def handed_out(self, i: int, h: Tensor) -> Tensor:
        """What a loss sees of the hidden state of place i."""
        return h


class AlignedNetwork(TappedNetwork):
    """A backbone and one projector per tap."""

    def __init__(self, backbone: nn.Module, projectors: Sequence[nn.Module], taps: Sequence[Tap]) -> None:
        super().__init__(backbone, [tap.place for tap in taps])
        self.projectors, self.taps = nn.ModuleList(projectors), tuple(taps)

    def handed_out(self, i: int, h: Tensor) -> Tensor:
        """The projection."""
        tap = self.taps[i]
        h = h.detach() if tap.probe else h
        projection: Tensor = self.projectors[i](pool_tokens(h, tap.pooling) if tap.pooled else h)
        return projection


class Alignments:
    """The alignments of a learner: their factors, their targets, and which of them are computed.

    Args:
        taps: in the order of the network's projectors.
        align: factor of all of them over training.
        share: a further constant; 1/N takes REPA's mean over encoders.
    """

    def __init__(self, taps: Sequence[Tap], align: Factor, share: float = 1.0) -> None:
        self.taps = tuple(taps)
        self.factors = {tap.term: align.times(share * tap.weight) for tap in self.taps}

    def wanted(self, computes: Callable[[str], bool]) -> list[int]:
        """Numbers of the taps whose terms are computed."""
        return [i for i, tap in enumerate(self.taps) if computes(tap.term)]

    def chosen(self, computes: Callable[[str], bool]) -> list[Any]:
        """The taps whose terms are computed."""
        return [self.taps[i] for i in self.wanted(computes)]

    def completed(
        self,
        batch: Batch,
        total: Callable[[Tensor], Tensor],
        computes: Callable[[str], bool],
        valid: Callable[[Any, Batch], Tensor] | None = None,
    ) -> Batch:
        """The batch with what projections are compared with in place of representations.

        Args:
            batch: with representations.
            total: sum of a tensor over ranks.
            computes: whether a term is.
            valid: (b, ...), 1 where an entry of a tap's target is one; None: everywhere.
        """
        found = {}
        for tap in self.chosen(computes):
            target = batch[tap.target]
            there = target.new_ones(target.shape[:-1]) if valid is None else valid(tap, batch)
            found[tap.aligned] = standardised(target, there, tap.norm, tap.share, total)
        return {name: tensor for name, tensor in batch.items() if not name.startswith("target/")} | found


def standardised(target: Tensor, valid: Tensor, norm: Norm, share: float, total: Callable[[Tensor], Tensor]) -> Tensor:
    """Targets (b, ..., d) as projections are compared with them.

    `batch` standardises over the entries of the global batch that are valid, `reference` likewise, but its variance
    counts the other entries too, see `_moments`. `spatial` standardises over the entries of each datum, with a share of
    the mean alone and the unbiased deviation (iREPA). `none` leaves them as they are.
    """
    if norm == "none":
        return target
    if norm == "spatial":
        there = valid[..., None]
        count = there.sum(1, keepdim=True)
        mean = (target * there).sum(1, keepdim=True) / count.clamp(min=1)
        variance = ((target - mean) * there).square().sum(1, keepdim=True) / (count - 1).clamp(min=1)
        return (target - share * mean) / (variance.sqrt() + EPS)
    mean, scale = _moments(target, valid, total, reference=norm == "reference")
    return (target - mean) / (scale + EPS)


def _moments(
    target: Tensor, weight: Tensor, total: Callable[[Tensor], Tensor], *, reference: bool
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d,) over the entries of the global batch that count.

    With `reference` every entry that does not count adds the squared mean to the variance: REED multiplies targets by
    their mask before it takes squares (protein/fmif/model_utils.py:217-228 @0a4527e).
    """
    y, w = target.flatten(0, -2).double(), weight.flatten().double()
    entries = torch.full_like(w[:1], len(w))
    sums = total(torch.cat([w.sum()[None], entries, (w[:, None] * y).sum(0), (w[:, None] * y**2).sum(0)])).to(y.device)
    count, everything = sums[0].clamp(min=1), sums[1]  # weights are 0 or 1
    mean, square = (part / count for part in sums[2:].chunk(2))
    others = (everything - count) / count * mean**2 if reference else 0.0
    return mean.to(target.dtype), (square - mean**2 + others).clamp(min=0).sqrt().to(target.dtype)


def pool_tokens(h: Tensor, pooling: Pooling = "mean") -> Tensor:
    """Mean or sum over tokens: (b, n, d) -> (b, d)."""
    return h.mean(dim=1) if pooling == "mean" else h.sum(dim=1)


def cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Over the last axis, in float32 or higher: half precision loses the last digits of the norms."""
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return (F.normalize(prediction.to(dtype), dim=-1) * F.normalize(target.to(dtype), dim=-1)).sum(-1)


def cosine_alignment(prediction: Tensor, target: Tensor) -> Tensor:
    """Negative cosine between prediction and target, (b, d) or (b, n, d) averaged over the n tokens -> (b,)."""
    return -cosine(prediction, target).reshape(len(prediction), -1).mean(dim=1)


# Weight of the alignment as a function of t (0 = noise, 1 = data): all but `constant` favour clean samples.
TIME_WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": torch.ones_like,
    "linear": lambda t: t,
    "cosine": lambda t: (1 - torch.cos(torch.pi * t)) / 2,
    "sigmoid": lambda t: torch.sigmoid(10 * (t - 0.5)),
    "loglinear": lambda t: 1 - torch.log(2 - t),
}


def cutoff(t: Tensor, low: float, high: float) -> Tensor:
    """Weight 1 for low <= t <= high and 0 elsewhere."""
    return ((t >= low) & (t <= high)).to(t.dtype)


def sample_weights(
    time_weight: Tensor,
    mode: Literal["per-sample", "reference"] = "per-sample",
    total: Callable[[Tensor], Tensor] = lambda own: own,
) -> Tensor:
    """Weight of every sample's alignment loss (b,), from its weight over time (b,).

    `per-sample` leaves each its own. `reference` gives all of them the mean weight of the *global* batch: a broadcast
    in REED image/loss.py:222 @0a4527e turns the mean of products into the product of means. `total` sums over ranks.
    """
    if mode == "per-sample":
        return time_weight
    own = torch.stack([time_weight.sum().double(), time_weight.new_tensor(len(time_weight)).double()])
    weight, count = total(own).to(time_weight)
    shared: Tensor = (weight / count).expand_as(time_weight)
    return shared
