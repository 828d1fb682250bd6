"""Diffusion of molecules: noise on places and on features of atoms, the loss that finds it, and the way back.

Levels run from 0, nearly data, to T, noise: they are steps of the noise's schedule, and what the network is told is
level / T, as in EDM, whose weights it can have.

Source: Hoogeboom et al. 2022, arXiv:2203.17003 (EDM), equivariant_diffusion/en_diffusion.py @fce07d7; the bound is
that of variational diffusion models, arXiv:2107.00630.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.nn.alignment import AlignedNetwork
from reedbench.nn.coupling import points
from reedbench.nn.learner import DENOISE, Batch, LossTerm, Streams
from reedbench.nn.molecule_classes import FIRST
from reedbench.nn.parts import Entries, State, centred
from reedbench.nn.pooled import PooledLearner
from reedbench.nn.samplers import jointly
from reedbench.nn.schedules import Factor

LEVELS: Final = 1000  # T
PRECISION: Final = 1e-5  # of the schedule: how far signal and noise stay from 0 and 1
CLASS_SCALE, NUMBER_SCALE = 4.0, 10.0  # by which one-hot elements and atomic numbers are divided
TINY: Final = 1e-10  # is added to probabilities before their logarithm
Loss = Literal["l2", "bound"]
Mean = Literal["atoms", "reference"]


@cache
def gammas() -> Tensor:
    """(T + 1,) float64: log of noise over signal, squared, at every level; EDM's polynomial schedule of power 2."""
    x = torch.linspace(0, LEVELS + 1, LEVELS + 1, dtype=torch.float64, device="cpu")  # networks may be on `meta`
    signal = (1 - (x / (LEVELS + 1)) ** 2) ** 2
    ratio = signal / torch.cat([torch.ones_like(signal[:1]), signal[:-1]])
    signal = (1 - 2 * PRECISION) * ratio.clamp(1e-3, 1).cumprod(0) + PRECISION
    return (1 - signal).log() - signal.log()


def signal_and_noise(gamma: Tensor) -> tuple[Tensor, Tensor]:
    """By what data and noise are multiplied at a level with this gamma."""
    return torch.sigmoid(-gamma).sqrt(), torch.sigmoid(gamma).sqrt()


def features(batch: Batch, size: int, *, atomic_numbers: bool) -> Tensor:
    """(b, N, size) float32 of atoms: elements one-hot, and atomic numbers if they are to be; scaled, 0 on padding."""
    elements = F.one_hot((batch["types"] - FIRST).clamp(min=0), size - atomic_numbers) / CLASS_SCALE
    more = [batch["numbers"][..., None] / NUMBER_SCALE] if atomic_numbers else []
    return torch.cat([elements, *more], -1).float() * batch["mask"][..., None]


# Parts of the likelihood; none of them depends on parameters but through the prediction at level 0


def kl_prior(x: Tensor, h: Tensor, mask: Tensor) -> Tensor:
    """(b,) nats between the last level and the prior, of places (b, N, 3) and features (b, N, F)."""
    signal, noise = (float(part) for part in signal_and_noise(gammas()[-1]))
    squares = x.square().flatten(1).sum(1) + h.square().flatten(1).sum(1)
    each = 0.5 * (noise**2 - 1) - math.log(noise)  # of a dimension, beside what the mean costs
    return each * (_freedom(mask) + h.shape[-1] * mask.sum(1)) + 0.5 * signal**2 * squares


def log_constant(mask: Tensor) -> Tensor:
    """(b,) log of the constant of the normal law of places given level 0."""
    return _freedom(mask) * (-0.5 * float(gammas()[0]) - 0.5 * math.log(2 * math.pi))


def log_features(z: Tensor, h: Tensor, mask: Tensor, *, atomic_numbers: bool) -> Tensor:
    """(b,) log-probabilities of features h (b, N, F), whose classes are what lies nearest, given level 0 of them, z."""
    elements = z.shape[-1] - atomic_numbers
    noise = float(signal_and_noise(gammas()[0])[1])
    kinds = _log_window(CLASS_SCALE * z[..., :elements] - 1, CLASS_SCALE * noise)
    found = (torch.log_softmax(kinds, -1) * h[..., :elements] * CLASS_SCALE).sum(-1)
    if atomic_numbers:
        off = (NUMBER_SCALE * h[..., -1]).round() - NUMBER_SCALE * z[..., -1]
        found = found + _log_window(off, NUMBER_SCALE * noise)
    return (found * mask).sum(1)


def _freedom(mask: Tensor) -> Tensor:
    """(b,) dimensions of places whose mean is 0."""
    return 3 * (mask.sum(1) - 1)


def _log_window(x: Tensor, noise: float) -> Tensor:
    """Log of the probability that the nearest whole number of x is 0, for normal noise."""
    above, below = (torch.special.ndtr((x + half) / noise) for half in (0.5, -0.5))
    return (above - below + TINY).log()


@dataclass(frozen=True)
class Settings:
    """Of the denoising loss.

    Attributes:
        loss: `l2`, half the squared error of the noise, a mean over dimensions, as EDM is trained; `bound`, the
            variational bound in nats per molecule, without the probability of its size.
        mean: what l2 is divided by, beside the dimensions: the molecule's atoms, or the length of the batch.
        atomic_numbers: they are a feature.
    """

    loss: Loss
    mean: Mean
    atomic_numbers: bool


class DiffusionLearner(PooledLearner):
    """Denoising and alignments; see `nn.learner.Learner`.

    Batches have what `codecs.molecules` makes: coordinates, types, numbers and mask. The term of denoising has the
    value of EDM's loss, with those parts of the likelihood that no parameter changes.

    Args:
        network: around a backbone that is called as `nn.backbones.egnn.EGNN`.
        settings: of the denoising loss.
        denoise: its factor.
        align: factor of the alignments.
        mean: divide the alignments by their number.
    """

    def __init__(
        self, network: AlignedNetwork, settings: Settings, denoise: Factor, align: Factor, *, mean: bool
    ) -> None:
        super().__init__(network, {DENOISE: denoise}, align, mean=mean)
        self.settings = settings

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds levels, and noise of places and features."""
        mask = batch["mask"]
        atoms = Entries(streams("noise/features"), mask)
        level = torch.from_numpy(streams("time").uniform()).double() * (LEVELS + 1)
        return {
            **batch,
            "level": level.long(),
            "noise/coordinates": points(Entries(streams("noise/coordinates"), mask), mask),
            "noise/features": atoms.normal(self.network.backbone.features),
        }

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass: the error of the noise, and negative cosines."""
        mask, level = batch["mask"], batch["level"]
        h = features(batch, self.network.backbone.features, atomic_numbers=self.settings.atomic_numbers).to(mask.dtype)
        data = {"coordinates": batch["coordinates"], "features": h}
        signal, noise = (part.to(mask)[:, None, None] for part in signal_and_noise(gammas().to(level.device)[level]))
        noisy = {name: signal * x + noise * batch[f"noise/{name}"] for name, x in data.items()}
        told = (level / LEVELS).to(mask.dtype)
        said, projections = network(*noisy.values(), told, mask, wanted=self.wanted())
        errors = {DENOISE: self._denoising(said, data, noisy, batch)} if self.computes(DENOISE) else {}
        return self.summed(errors, projections, batch)

    def _denoising(self, said: tuple[Tensor, Tensor], data: State, noisy: State, batch: Batch) -> Tensor:
        """(b,): the loss of each molecule."""
        mask, level, settings = batch["mask"], batch["level"], self.settings
        wrong = [
            (x.to(mask.dtype) - batch[f"noise/{name}"]).square().flatten(1).sum(1) / 2
            for name, x in zip(data, said, strict=True)
        ]
        first = level == 0
        sharp = -log_features(noisy["features"], data["features"], mask, atomic_numbers=settings.atomic_numbers)
        prior = kl_prior(data["coordinates"], data["features"], mask)
        if settings.loss == "l2":
            over = (3 + data["features"].shape[-1]) * (mask.sum(1) if settings.mean == "atoms" else mask.shape[1])
            return prior + torch.where(first, wrong[0] / over + sharp, (wrong[0] + wrong[1]) / over)
        table = gammas().to(level.device)
        grows = torch.expm1(table[level] - table[(level - 1).clamp(min=0)]).to(mask.dtype)
        later = grows * (wrong[0] + wrong[1])
        return prior - log_constant(mask) + (LEVELS + 1) * torch.where(first, wrong[0] + sharp, later)


# Sampling


def levels_of(steps: int) -> list[int]:
    """The `steps + 1` levels from T down to 0, as equidistant as whole numbers can be; at most T steps."""
    if not 1 <= steps <= LEVELS:
        raise ValueError(f"there are 1 to {LEVELS} steps, got {steps}")
    return [LEVELS * (steps - i) // steps for i in range(steps + 1)]


def stepped(z: Tensor, noise: Tensor, now: int, after: int, more: Tensor) -> Tensor:
    """A draw of level `after` given z at level `now` and the noise that is expected in it.

    Args:
        z: (b, N, d) float64.
        noise: likewise, the network's.
        now: a level.
        after: a lower one.
        more: standard normal.
    """
    here, there = gammas()[now], gammas()[after]
    between = -torch.expm1(F.softplus(there) - F.softplus(here))  # variance of z given the lower level
    kept = (0.5 * (F.logsigmoid(-here) - F.logsigmoid(-there))).exp()
    sigma_now, sigma_after = signal_and_noise(here)[1], signal_and_noise(there)[1]
    mean = z / float(kept) - float(between / kept / sigma_now) * noise
    return mean + float(between.sqrt() * sigma_after / sigma_now) * more


@torch.no_grad()
def denoised(network: Any, mask: Tensor, steps: int, streams: Callable[[str], Any]) -> dict[str, Tensor]:
    """Molecules from noise: `coordinates` (b, N, 3) and `types` (b, N) tokens; NFE = steps + 1.

    Elements are those that are likeliest at level 0. EDM leaves the last one out where atomic numbers are no feature
    (en_diffusion.py:490); here it counts.

    Args:
        network: called as `nn.backbones.egnn.EGNN`.
        mask: (b, N), 1 where an atom is.
        steps: from level T to 0.
        streams: gives by name one stream per row.
    """
    size, running = network.features, Entries(streams("transitions"), mask)

    def normal(name: str) -> Tensor:
        return (running.normal(size) if name == "features" else points(running, mask)).double()

    def predict(z: State, now: float) -> State:
        level = torch.full((len(mask),), now / LEVELS, dtype=mask.dtype, device=mask.device)
        (x, h), _ = network(z["coordinates"].to(mask.dtype), z["features"].to(mask.dtype), level, mask)
        return {"coordinates": x.double(), "features": h.double()}

    def move(name: str, z: Tensor, noise: Tensor, now: float, after: float) -> Tensor:
        z = stepped(z, noise, int(now), int(after), normal(name))
        return centred(z, mask) if name == "coordinates" else z

    names = ("coordinates", "features")
    moves = {name: partial(move, name) for name in names}
    z = jointly(predict, {name: normal(name) for name in names}, moves, levels_of(steps))
    signal, noise = (float(part) for part in signal_and_noise(gammas()[0]))
    x = (z["coordinates"] - noise * predict(z, 0)["coordinates"]) / signal + noise / signal * normal("coordinates")
    elements = z["features"][..., : size - network.atomic_numbers].argmax(-1)
    return {"coordinates": centred(x, mask).to(mask.dtype), "types": (elements + FIRST) * (mask > 0)}
