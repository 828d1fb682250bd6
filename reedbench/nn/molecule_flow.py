"""Flow matching of molecules: places, atoms and bonds from noise to data, charges beside them, and alignments.

Source: SemlaFlow, arXiv:2406.07266; REED, arXiv:2507.08980, molecule/semlaflow/flowmodels/fm.py:610-972 and
semla.py:750-764 @0a4527e (losses, self-conditioning, alignment).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reedbench.nn.alignment import AlignedNetwork
from reedbench.nn.coupling import Coupling, Prior, coupled
from reedbench.nn.learner import Batch, LossTerm, Others, Streams
from reedbench.nn.molecule_state import Parts, Said, pairs, said
from reedbench.nn.parts import cross_entropy
from reedbench.nn.pooled import PooledLearner
from reedbench.nn.schedules import Factor

STATE = ("coordinates", "types", "bonds")  # what is made noisy, and what a network is conditioned by
TERMS = (*STATE, "charges")
Mean = Literal["atoms", "reference"]


@dataclass(frozen=True)
class Settings:
    """Of the denoising loss.

    Attributes:
        parts: of a molecule.
        times: parameters of the Beta law of times.
        coupling: of noise to data.
        prior: see `coupling.points`.
        mean: squared errors of places are divided by the atoms of the molecule, or as in the `reference` by the length
            of the batch.
        conditioned: probability with which a row is conditioned by a first prediction.
    """

    parts: Parts
    times: tuple[float, float]
    coupling: Coupling
    prior: Prior
    mean: Mean
    conditioned: float


def beta_times(u: Tensor, a: float, b: float) -> Tensor:
    """Uniform draws u (b,) in [0, 1) -> times (b,) of the law Beta(a, b), by the inverse of its distribution."""
    if b == 1:
        return u.double() ** (1 / a)
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(a, b, u.double().numpy()))


def squared_error(x: Tensor, data: Tensor, mask: Tensor, mean: Mean) -> Tensor:
    """(b,) squared errors of (b, N, d) over the atoms that are there, divided by d and by their number, or by N."""
    error = ((x.to(data.dtype) - data) * mask[..., None]).square().flatten(1).sum(1)
    atoms = mask.sum(1) if mean == "atoms" else mask.shape[1]
    return error / (data.shape[-1] * atoms)


class MoleculeLearner(PooledLearner):
    """Denoising and alignments; see `nn.learner.Learner`.

    Batches have what `codecs.molecules` makes: coordinates, types, charges, bonds and mask. The denoising factor
    multiplies the first four terms, each with its coefficient.

    Where the reference tosses a coin for each batch (fm.py:610-634), here each row has its own: the expectation is the
    same, steps cost the same, and ranks and micro-batches change nothing.

    Args:
        network: around a backbone that is called as `nn.backbones.semla.Semla`.
        settings: of the denoising loss.
        denoising: factors of its terms.
        align: factor of the alignments.
        mean: divide the alignments by their number.
    """

    def __init__(
        self,
        network: AlignedNetwork,
        settings: Settings,
        denoising: Mapping[str, Factor],
        align: Factor,
        *,
        mean: bool,
    ) -> None:
        super().__init__(network, denoising, align, mean=mean)
        self.settings = settings
        self.conditions = bool(network.backbone.self_condition and settings.conditioned)

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds times, the noisy state, and which rows are conditioned by a first prediction."""
        settings, mask = self.settings, batch["mask"]
        t = beta_times(torch.from_numpy(streams("time").uniform()), *settings.times).to(mask)
        x_0 = settings.parts.prior(streams, mask, settings.prior)
        if settings.coupling == "equivariant":
            x_0["coordinates"] = coupled(x_0["coordinates"], batch["coordinates"], mask)
        noisy = settings.parts.noised(x_0, batch, t, streams, mask)
        drawn = {**batch, "t": t, **{f"noisy/{name}": x for name, x in noisy.items()}}
        if self.conditions:
            drawn["conditioned"] = torch.from_numpy(streams("self-conditioning").uniform() < settings.conditioned)
        return drawn

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds what the network itself predicts of the rows that are conditioned by it, zeros elsewhere."""
        if not self.conditions:
            return batch
        rows = batch["conditioned"].nonzero()[:, 0]
        previous = [torch.zeros_like(x) for x in self._inputs(batch)[:3]]
        if len(rows):
            seen = {name: batch[name][rows] for name in ("t", "mask", *(f"noisy/{name}" for name in STATE))}
            prediction, _ = self.network.backbone(*self._inputs(seen))
            for whole, some in zip(previous, said(prediction), strict=True):
                whole[rows] = some.to(whole.dtype)
        return batch | {f"previous/{name}": x for name, x in zip(STATE, previous, strict=True)}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass: errors of places and classes, and negative cosines."""
        previous: Said | None = None
        if self.conditions:
            previous = (batch["previous/coordinates"], batch["previous/types"], batch["previous/bonds"])
        prediction, projections = network(*self._inputs(batch), previous=previous, wanted=self.wanted())
        errors = {name: self._error(name, prediction, batch) for name in TERMS if self.computes(name)}
        return self.summed(errors, projections, batch)

    def _inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        noisy = {name: batch[f"noisy/{name}"] for name in STATE}
        return self.settings.parts.inputs(noisy, batch["t"], batch["mask"])

    def _error(self, name: str, prediction: Any, batch: Batch) -> Tensor:
        """(b,) of one term."""
        said_of_it, data, mask, parts = getattr(prediction, name), batch[name], batch["mask"], self.settings.parts
        if name == "coordinates":
            return squared_error(said_of_it, data, mask, self.settings.mean)
        if name == "charges":
            return cross_entropy(said_of_it, data, mask)
        part, there = (parts.bonds, pairs(mask)) if name == "bonds" else (parts.types, mask)
        return cross_entropy(said_of_it, data, part.counted(batch[f"noisy/{name}"], there))
