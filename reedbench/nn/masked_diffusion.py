"""Masking diffusion of sequences on structures, with any number of aligned hidden layers.

Source: REED, arXiv:2507.08980, protein/fmif/model_utils.py:179-251 @0a4527e (losses, masks, normalisation of targets),
with the time running from all masked (0) to clean (1).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reedbench.core.residues import MASK
from reedbench.nn import unmasking
from reedbench.nn.aligned import DENOISE
from reedbench.nn.initialisation import GeneratorFor, fan_in_uniform
from reedbench.nn.learner import PARTNERS, Batch, LossTerm, Streams

Site = Literal["node", "edge", "structure"]


class ResidueProjector(nn.Sequential):
    """Two linear layers with SiLU in between, from a hidden width to the width of a representation.

    Source: REED protein/fmif/model_utils.py:558-569 @0a4527e.
    """

    def __init__(self, width: int, hidden: int, dim: int) -> None:
        super().__init__(nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, dim))

    def initialise(self, generator_for: GeneratorFor) -> None:
        """Set every parameter from the generator of its name by torch's law, as the reference leaves it."""
        for name, parameter in self.named_parameters():
            layer = self[int(name.split(".")[0])]
            fan_in_uniform(parameter, layer.in_features, generator_for(name))


@dataclass(frozen=True)
class ResidueTap:
    """One alignment as the loss sees it.

    Attributes:
        term: name of its loss term.
        target: key of its representations in a batch: (b, L, dim), or (b, L, K, dim) at an edge.
        site: nodes or edges after a decoder layer, or the nodes after the encoder, which see the structure alone.
        depth: decoder layer, 1-based.
        weight: coefficient.
        norm: how targets are standardised over the global batch; see `_moments`.
        masked_only: residues that are not masked do not count.
        probe: the projector learns, the backbone does not feel it.
    """

    term: str
    target: str
    site: Site
    depth: int
    weight: float
    norm: Literal["batch", "reference", "none"]
    masked_only: bool
    probe: bool


class DesignNetwork(nn.Module):
    """A denoiser of sequences and one projector per tap."""

    def __init__(self, backbone: nn.Module, projectors: Sequence[nn.Module], taps: Sequence[ResidueTap]) -> None:
        super().__init__()
        self.backbone, self.projectors, self.taps = backbone, nn.ModuleList(projectors), tuple(taps)

    def forward(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Logits (b, L, 22), and the projection of every tap in order."""
        logits, hidden = self.backbone(
            batch["coordinates"], batch["mask"], batch["residue_index"], batch["chain"], batch["noisy"],
            taps=[(tap.site, tap.depth) for tap in self.taps], neighbours=batch[PARTNERS],
            dropout=batch.get("dropout"),
        )  # fmt: skip
        projections = zip(self.taps, self.projectors, hidden, strict=True)
        return logits, [projector(h.detach() if tap.probe else h) for tap, projector, h in projections]


@dataclass(frozen=True)
class Denoising:
    """Settings of the denoising loss.

    Attributes:
        smoothing: of labels, over all 22 tokens.
        least: smallest time, and distance of the largest one from 1.
        divisor: by which the sum over residues is divided; none takes the mean.
        time_weight: see `unmasking.time_weight`.
        masked_only: residues that are not masked do not count.
        noise: standard deviation added to coordinates, in Angstrom.
    """

    smoothing: float
    least: float
    divisor: float | None
    time_weight: Literal["constant", "schedule"]
    masked_only: bool
    noise: float


class DesignLearner:
    """Masking diffusion with alignments; see `nn.learner.Learner`.

    Batches have what `codecs.residues` makes: coordinates, tokens, mask, residue_index, chain.
    """

    def __init__(
        self,
        network: DesignNetwork,
        settings: Denoising,
        denoise: Callable[[int], float],
        align: Callable[[int], float],
    ) -> None:
        self.network, self.settings, self.taps = network, settings, network.taps
        self.denoise, self.align = denoise, align

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds times, noisy tokens, moved coordinates and seeds of dropout."""
        settings, mask, coordinates = self.settings, batch["mask"], batch["coordinates"]
        lengths = (batch["chain"] > 0).sum(1).numpy()
        t = unmasking.times(torch.from_numpy(streams("time").uniform()), settings.least)
        u = torch.from_numpy(streams("mask").uniform(mask.shape[1], lengths=lengths))
        drawn = {**batch, "t": t, "noisy": unmasking.corrupted(batch["tokens"], t, u, mask)}
        if settings.noise:
            moved = torch.from_numpy(streams("coordinates").normal(*coordinates.shape[1:], lengths=lengths))
            drawn["coordinates"] = coordinates + settings.noise * moved * mask[..., None, None]
        if getattr(self.network.backbone, "dropout", 0):
            drawn["dropout"] = torch.from_numpy(streams("dropout").seeds())
        if any(tap.site == "edge" for tap in self.taps):  # which pairs are read, and how many count
            drawn[PARTNERS] = self._graph(self._on_device(drawn)).cpu()
        return drawn

    def weights(self, batch: Batch) -> dict[str, float]:
        """Residues that count, and pairs of neighbours that count."""
        weights = {DENOISE: self._counted(batch, masked_only=self.settings.masked_only).sum()}
        for tap in self.taps:
            weights[tap.term] = self._aligned(tap, batch).sum()
        return {name: float(weight) for name, weight in weights.items()}

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds the graph where it is not drawn yet and the divisor's factor; standardises targets.

        Factor and moments are those of the global batch.
        """
        batch = {**batch, PARTNERS: batch[PARTNERS] if PARTNERS in batch else self._graph(batch)}
        batch["factor"] = torch.ones_like(batch["t"])
        if self.settings.divisor is not None:
            counted = total(self._counted(batch, masked_only=self.settings.masked_only).double().sum()[None])
            batch["factor"] *= (counted / self.settings.divisor).to(batch["t"])
        for tap in self.taps:
            target, weight = batch[tap.target], self._valid(tap, batch)
            if tap.norm != "none":
                mean, scale = _moments(target, weight, total, reference=tap.norm == "reference")
                target = (target - mean) / (scale + 1e-6)
            batch[f"aligned/{tap.term}"] = target
        return {name: tensor for name, tensor in batch.items() if not name.startswith("target/")}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass: cross-entropy, and negative cosines."""
        settings = self.settings
        logits, projections = network(batch)
        loss = unmasking.cross_entropy(logits, batch["tokens"], settings.smoothing)
        per_chain = unmasking.time_weight(batch["t"], settings.time_weight) * batch["factor"]
        counted = self._counted(batch, masked_only=settings.masked_only)
        terms = {DENOISE: LossTerm((loss * counted * per_chain[:, None]).sum(), float(counted.sum()))}
        for tap, projection in zip(self.taps, projections, strict=True):
            cosine = _cosine(projection, batch[f"aligned/{tap.term}"])
            aligned = self._aligned(tap, batch)
            terms[tap.term] = LossTerm(-(cosine * aligned).sum(), float(aligned.sum()))
        return terms

    def coefficients(self, step: int) -> dict[str, float]:
        """Factor of the denoising loss, and that of the alignments times their weights."""
        rho = self.align(step)
        return {DENOISE: self.denoise(step), **{tap.term: rho * tap.weight for tap in self.taps}}

    def sampling_parameters(self) -> int:
        """Parameters of the backbone."""
        return sum(parameter.numel() for parameter in self.network.backbone.parameters())

    def published(self, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Averages and constants: the backbone's names without a prefix, then `projectors.<j>.*`."""
        state = {**self.network.state_dict(), **average}
        return {name.removeprefix("backbone."): tensor for name, tensor in state.items()}

    def _counted(self, batch: Batch, *, masked_only: bool) -> Tensor:
        """(b, L): residues that are resolved, and masked if only those count."""
        return batch["mask"] * (batch["noisy"] == MASK) if masked_only else batch["mask"]

    def _on_device(self, batch: Batch) -> Batch:
        device = next(self.network.parameters()).device
        return {name: batch[name].to(device) for name in ("coordinates", "mask", "chain")}

    def _graph(self, batch: Batch) -> Tensor:
        backbone = self.network.backbone
        neighbours: Tensor = backbone.graph(batch["coordinates"], backbone.taking_part(batch["mask"], batch["chain"]))
        return neighbours

    def _valid(self, tap: ResidueTap, batch: Batch) -> Tensor:
        """(b, L) or (b, L, K): where a target is one."""
        mask = batch["mask"]
        return _edge_mask(mask, mask, batch[PARTNERS]) if tap.site == "edge" else mask

    def _aligned(self, tap: ResidueTap, batch: Batch) -> Tensor:
        """(b, L) or (b, L, K): where a target counts; at an edge it is the receiver that must be masked."""
        counted = self._counted(batch, masked_only=tap.masked_only)
        return _edge_mask(counted, batch["mask"], batch[PARTNERS]) if tap.site == "edge" else counted


def _edge_mask(receiver: Tensor, sender: Tensor, neighbours: Tensor) -> Tensor:
    b, length, k = neighbours.shape
    return receiver[..., None] * sender.gather(1, neighbours.reshape(b, -1)).view(b, length, k)


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


def _cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """Over the last axis, in float32 or higher: half precision loses the last digits of the norms."""
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, target.dtype), torch.float32)
    return (F.normalize(prediction.to(dtype), dim=-1) * F.normalize(target.to(dtype), dim=-1)).sum(-1)
