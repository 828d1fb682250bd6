"""Flow matching of molecules: places, atoms and bonds from noise to data, charges beside them, and alignments.

Source: SemlaFlow, arXiv:2406.07266; REED, arXiv:2507.08980, molecule/semlaflow/flowmodels/fm.py:610-972 and
semla.py:750-764 @0a4527e (losses, self-conditioning, alignment).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reedbench.nn.alignment import AlignedNetwork, Alignments, cosine_alignment
from reedbench.nn.coupling import Coupling, Prior, coupled
from reedbench.nn.learner import Batch, Learner, LossTerm, Others, Streams
from reedbench.nn.molecule_state import Parts, Said, pairs, said
from reedbench.nn.parts import cross_entropy
from reedbench.nn.schedules import Factor

TERMS = ("coordinates", "types", "bonds", "charges")
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


class MoleculeLearner(Learner):
    """Denoising and alignments; see `nn.learner.Learner`.

    Batches have what `codecs.molecules` makes: coordinates, types, charges, bonds and mask. Every term is a mean over
    rows. The denoising factor multiplies the first four terms, each with its weight.

    Where the reference tosses a coin for each batch (fm.py:610-634), here each row has its own: the expectation is the
    same, steps cost the same, and ranks and micro-batches change nothing.
    """

    def __init__(
        self,
        network: AlignedNetwork,
        settings: Settings,
        coefficients: Mapping[str, float],
        denoise: Factor,
        align: Factor,
        *,
        mean_over_depths: bool,
    ) -> None:
        """For a network of molecules.

        Args:
            network: around a backbone that is called as `nn.backbones.semla.Semla`.
            settings: of the denoising loss.
            coefficients: of its terms.
            denoise: factor of them.
            align: factor of the alignments.
            mean_over_depths: divide the alignments by their number.
        """
        share = 1 / len(network.taps) if mean_over_depths and network.taps else 1.0
        self.network, self.settings = network, settings
        self.alignments = Alignments(network.taps, align, share)
        self.factors = {name: denoise.times(coefficients[name]) for name in TERMS} | self.alignments.factors
        self.kinds = dict.fromkeys(self.alignments.factors, "cosine")
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

    def weights(self, batch: Batch) -> dict[str, float]:
        """Every term is a mean over rows."""
        return {name: float(len(batch["t"])) for name in self.factors if self.computes(name)}

    def reads(self) -> tuple[str, ...]:
        """Encoders of the active alignments."""
        return tuple(tap.encoder for tap in self.alignments.chosen(self.computes))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds targets as they are compared."""
        return self.alignments.completed(batch, total, self.computes)

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds what the network itself predicts of the rows that are conditioned by it, zeros elsewhere."""
        if not self.conditions:
            return batch
        rows = batch["conditioned"].nonzero()[:, 0]
        previous = [torch.zeros_like(x) for x in self._inputs(batch)[:3]]
        if len(rows):
            prediction, _ = self.network.backbone(*self._inputs({name: x[rows] for name, x in batch.items()}))
            for whole, some in zip(previous, said(prediction), strict=True):
                whole[rows] = some.to(whole.dtype)
        return batch | {f"previous/{name}": x for name, x in zip(TERMS, previous, strict=False)}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass: errors of places and classes, and negative cosines."""
        previous: Said | None = None
        if self.conditions:
            previous = (batch["previous/coordinates"], batch["previous/types"], batch["previous/bonds"])
        wanted = self.alignments.wanted(self.computes)
        prediction, projections = network(*self._inputs(batch), previous=previous, wanted=wanted)
        found = {name: self._error(name, prediction, batch) for name in TERMS if self.computes(name)}
        for tap, projection in zip(self.alignments.chosen(self.computes), projections, strict=True):
            found[tap.term] = cosine_alignment(projection, batch[tap.aligned])
        return {name: LossTerm(values.sum(), float(len(values))) for name, values in found.items()}

    def _inputs(self, batch: Batch) -> tuple[Tensor, ...]:
        noisy = {name: batch[f"noisy/{name}"] for name in ("coordinates", "types", "bonds")}
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
