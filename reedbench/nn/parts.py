"""Parts of a joint state: of each its prior, how noise and data are mixed, and how a prediction moves it.

A state is a dict of parts. What images and latents are is the state with one continuous part, whose velocity the
network predicts; a molecule has places, classes of atoms and classes of their pairs, of which it predicts the data.

Source: SemlaFlow, arXiv:2406.07266; REED molecule/semlaflow/data/interpolate.py:88-330 (priors, mixing) and
flowmodels/fm.py:25-172 (steps) @0a4527e. The rule for classes is that of discrete flow models, arXiv:2402.04997.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from reedbench.core.seeds import RowStreams
from reedbench.nn.interpolants import LINEAR, Interpolant, expand, velocity_from_data

State = dict[str, Tensor]
NOTHING: Final = -1  # class of an entry that is not there: the network sees zeros
EDGE: Final = 1e-5  # of time, within which the chances of a step by `Uniform` are those at this distance from its end
COUNTED: Final = 1e-3  # is added to the number of entries, as in the reference
SPREAD: Final = 1e-5  # is added to probabilities before a distribution is drawn by `Dirichlet`


class Entries:
    """Random numbers for the entries of each row of a batch, at its own length: padding changes nothing in them.

    Args:
        running: one stream per row.
        mask: (b, N), 1 where an entry is, the first ones of a row.
        axes: 1 for entries, 2 for their pairs.
    """

    def __init__(self, running: RowStreams, mask: Tensor, axes: int = 1) -> None:
        self.running, self.axes, self.device = running, axes, mask.device
        self.shape, self.lengths = (mask.shape[1],) * axes, mask.sum(1).long().tolist()

    def uniform(self, *more: int) -> Tensor:
        """(b, N, ..., *more) float32, U[0, 1)."""
        drawn = self.running.uniform(*self.shape, *more, lengths=self.lengths, axes=self.axes)
        return torch.from_numpy(drawn).to(self.device)

    def normal(self, *more: int) -> Tensor:
        """(b, N, ..., *more) float32, N(0, 1)."""
        drawn = self.running.normal(*self.shape, *more, lengths=self.lengths, axes=self.axes)
        return torch.from_numpy(drawn).to(self.device)

    def distributions(self, weights: Tensor) -> Tensor:
        """(b, N, ..., k) float64 that follow Dirichlet's law with these weights; 0 where there is no entry."""
        drawn = self.running.gamma(weights.double().cpu().numpy(), self.lengths, self.axes)
        gamma = torch.from_numpy(drawn).to(self.device)
        return gamma / gamma.sum(-1, keepdim=True).clamp(min=torch.finfo(gamma.dtype).tiny)


@dataclass(frozen=True)
class Continuous:
    """A part of real numbers on a path from noise to data.

    Attributes:
        path: between them.
        predicts: what the network says of it.
        noise: standard deviation of what is added to the path in training, at all times.
    """

    path: Interpolant = LINEAR
    predicts: Literal["velocity", "data"] = "velocity"
    noise: float = 0.0

    def noised(self, x_0: Tensor, x_1: Tensor, t: Tensor, more: Tensor | None = None) -> Tensor:
        """What the network sees of noise and data (b, ...) at times t (b,); `more` is normal, where noise is added."""
        x = self.path.interpolate(x_0, x_1, t)
        return x if more is None else x + self.noise * more

    def target(self, x_0: Tensor, x_1: Tensor, t: Tensor) -> Tensor:
        """What the network should say."""
        return x_1 if self.predicts == "data" else self.path.velocity(x_0, x_1, t)

    def step(self, x: Tensor, predicted: Tensor, now: float, after: float) -> Tensor:
        """x (b, ...) at time `after`, by Euler's method from `now` on."""
        if self.predicts == "data":
            predicted = velocity_from_data(self.path, predicted, x, torch.full((len(x),), now).to(x))
        return x + (after - now) * predicted


def centred(x: Tensor, mask: Tensor) -> Tensor:
    """Places (b, N, d) less their mean over the entries that are there; 0 elsewhere.

    In float64, where padding does not change how a sum is rounded to the dtype of the places.
    """
    there, wide = mask[..., None].double(), x.double()
    return ((wide - (wide * there).sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)) * there).to(x)


Choose = Callable[[Tensor, Tensor], Tensor]  # weights (..., k) and U[0, 1) (...) -> classes (...) int64


def drawn(weights: Tensor, u: Tensor) -> Tensor:
    """Classes (...) int64 that follow the law proportional to the weights (..., k), by u (...) in [0, 1).

    Sums in a fixed order, so that an entry does not depend on others.
    """
    weights = weights.double()
    mass, chosen = torch.zeros_like(weights[..., 0]), torch.zeros_like(u, dtype=torch.int64)
    level = u.double() * weights.sum(-1)
    for one in weights[..., :-1].unbind(-1):
        mass = mass + one
        chosen += level >= mass
    return chosen


@dataclass(frozen=True)
class Categorical(ABC):
    """A part of classes, of entries or of their pairs.

    A state has a class per entry (b, N) or pair (b, N, N), int64, NOTHING where there is none; or a distribution
    (b, ..., classes), 0 where there is none. `numbers` are those of its entries or pairs, `there` is 1 where one is.

    Attributes:
        classes: how many.
        symmetric: of pairs, draws of (i, j), i > j, hold for (j, i) too. The reference draws both, although it writes
            `symmetric` (interpolate.py:110-125).
        bare: data of class 0 are shown as NOTHING where they are kept, as bonds that are not there are in the reference
            (the class 0 that the prior draws is shown as one).
        choose: how a class is taken from weights.
    """

    classes: int
    symmetric: bool = False
    bare: bool = False
    choose: Choose = drawn

    @abstractmethod
    def prior(self, numbers: Entries, there: Tensor) -> Tensor:
        """The state at t = 0."""

    def noised(self, x_0: Tensor, x_1: Tensor, t: Tensor, numbers: Entries, there: Tensor) -> Tensor:
        """The state at times t (b,): every entry has the data's class with probability t, else that of the prior.

        Args:
            x_0: a state of the prior.
            x_1: classes of the data (b, ...).
            t: times.
            numbers: of the entries.
            there: where they are.
        """
        return self._whole(torch.where(numbers.uniform() < expand(t, x_1), self._data(x_1), x_0), there)

    def seen(self, x: Tensor) -> Tensor:
        """(b, ..., classes) float32 as the network takes it."""
        return F.one_hot(x.clamp(min=0), self.classes).float() * (x >= 0)[..., None]

    def counted(self, x: Tensor, there: Tensor) -> Tensor:
        """Where a noisy state counts in the loss."""
        return there

    @abstractmethod
    def step(
        self, x: Tensor, p: Tensor, now: float, after: float, *, noise: float, numbers: Entries, there: Tensor
    ) -> Tensor:
        """The state at time `after`, from that at `now`.

        Args:
            x: the state.
            p: (b, ..., classes) probabilities of the data's class.
            now: time at which the step begins.
            after: and at which it ends.
            noise: rate at which classes are changed beyond need (eta); it ends with the step to t = 1.
            numbers: of the entries.
            there: where they are.
        """

    def _data(self, x_1: Tensor) -> Tensor:
        return x_1.masked_fill(x_1 == 0, NOTHING) if self.bare else x_1

    def _whole(self, x: Tensor, there: Tensor) -> Tensor:
        """Classes, the same of (i, j) and (j, i) if they are to be, and NOTHING where nothing is."""
        return (mirrored(x) if self.symmetric else x).masked_fill(there == 0, NOTHING)


def mirrored(x: Tensor) -> Tensor:
    """(b, N, N, ...) whose upper triangle is its lower one."""
    lower = torch.ones(x.shape[1:3], dtype=torch.bool, device=x.device).tril()
    return torch.where(lower.view(1, *lower.shape, *[1] * (x.ndim - 3)), x, x.transpose(1, 2))


class Uniform(Categorical):
    """Noise is a uniform class, of all that there are, and a step may change a class into any other."""

    def prior(self, numbers: Entries, there: Tensor) -> Tensor:
        """A uniform class each."""
        return self._whole((numbers.uniform().double() * self.classes).long(), there)

    def odds(self, x: Tensor, p: Tensor, now: float, after: float, noise: float) -> Tensor:
        """Weights of the classes after a step, (b, ..., classes) float64; arguments as in `step`.

        Those that the class may change into are at most 1 each, and not scaled down where their sum is larger, as in
        the reference. Its factor 2 of the noise is kept too; that of discrete flow models has 1 + eta + eta (S - 1) t.
        """
        h, eta, t = after - now, noise if after < 1 else 0.0, min(max(now, EDGE), 1 - EDGE)
        own = F.one_hot(x.clamp(min=0), self.classes).bool()
        p = p.double()
        back = p.gather(-1, x.clamp(min=0)[..., None])  # of changing from another class into this one
        odds = h * (1 + 2 * eta * (self.classes - 1) * t) / (1 - t) * p + h * eta * back
        odds = odds.clamp(max=1).masked_fill(own, 0)
        return torch.where(own, (1 - odds.sum(-1, keepdim=True)).clamp(min=0), odds)

    def step(
        self, x: Tensor, p: Tensor, now: float, after: float, *, noise: float, numbers: Entries, there: Tensor
    ) -> Tensor:
        """By these odds; one number per entry."""
        return self._whole(self.choose(self.odds(x, p, now, after, noise), numbers.uniform()), there)


@dataclass(frozen=True)
class Masked(Categorical):
    """Noise is one class, the mask; a step shows some entries, and hides some again.

    Attributes:
        mask: that class.
    """

    mask: int = 0

    def prior(self, numbers: Entries, there: Tensor) -> Tensor:
        """All hidden."""
        return torch.full_like(there, self.mask, dtype=torch.int64).masked_fill(there == 0, NOTHING)

    def counted(self, x: Tensor, there: Tensor) -> Tensor:
        """What is hidden."""
        return there * (x == self.mask)

    def step(
        self, x: Tensor, p: Tensor, now: float, after: float, *, noise: float, numbers: Entries, there: Tensor
    ) -> Tensor:
        """Shows what is hidden with probability h (1 + eta t) / (1 - t), hides the rest with h eta.

        Two numbers per entry: whether, and which class.
        """
        h, hidden = after - now, x == self.mask
        whether, which = numbers.uniform(2).unbind(-1)
        shown = hidden & (whether < h * (1 + noise * now) / (1 - now))
        again = ~hidden & (whether < h * noise) if after < 1 else torch.zeros_like(hidden)
        x = torch.where(shown, self.choose(p, which), x)
        return self._whole(x.masked_fill(again, self.mask), there)


@dataclass(frozen=True)
class Dirichlet(Categorical):
    """States are distributions over classes: from the uniform one to draws around that of the data.

    Attributes:
        temperature: of the data's distribution, softmax(one-hot / temperature).
    """

    temperature: float = 1.0

    def prior(self, numbers: Entries, there: Tensor) -> Tensor:
        """The uniform distribution."""
        return (there[..., None] / self.classes).float().expand(*there.shape, self.classes)

    def noised(self, x_0: Tensor, x_1: Tensor, t: Tensor, numbers: Entries, there: Tensor) -> Tensor:
        """Draws of Dirichlet's law whose weights lie between those of the prior and of the data."""
        data = torch.softmax(super().seen(self._data(x_1)) / self.temperature, -1)
        return self._spread(numbers.distributions(LINEAR.interpolate(x_0, data, t)), there)

    def seen(self, x: Tensor) -> Tensor:
        """As it is."""
        return x.float()

    def step(
        self, x: Tensor, p: Tensor, now: float, after: float, *, noise: float, numbers: Entries, there: Tensor
    ) -> Tensor:
        """Adds a draw around the prediction, in proportion to the length of the step; there is no further noise."""
        return x + (after - now) * self._spread(numbers.distributions(p + SPREAD), there)

    def _spread(self, x: Tensor, there: Tensor) -> Tensor:
        return (mirrored(x) if self.symmetric else x).float() * (there != 0)[..., None]


def cross_entropy(logits: Tensor, classes: Tensor, counted: Tensor) -> Tensor:
    """(b,) sums of -log p over the entries of each row that count, over their number and a little.

    Args:
        logits: (b, ..., k).
        classes: of the data (b, ...) int64; any class will do where nothing counts.
        counted: (b, ...), 1 or 0.
    """
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_p = F.log_softmax(logits.to(dtype), -1).gather(-1, classes[..., None])[..., 0]
    counted = counted.to(dtype).flatten(1)
    return -(log_p.flatten(1) * counted).sum(1) / (counted.sum(1) + COUNTED)
