"""Masking diffusion of sequences on structures, with any number of aligned hidden layers.

Source: REED, arXiv:2507.08980, protein/fmif/model_utils.py:179-251 @0a4527e (losses, masks, normalisation of targets),
with the time running from all masked (0) to clean (1).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reedbench.nn import unmasking
from reedbench.nn.alignment import AlignedNetwork, Alignments, Tap, TappedNetwork, cosine
from reedbench.nn.learner import DENOISE, PARTNERS, Batch, Learner, LossTerm, Streams
from reedbench.nn.residues import MASK
from reedbench.nn.schedules import Factor


@dataclass(frozen=True)
class ResidueTap(Tap):
    """An alignment of residues, or of pairs of neighbours. Its place is (site, depth).

    Sites are nodes or edges after a decoder layer, or the nodes after the encoder, which see the structure alone.
    Targets are (b, L, dim), or (b, L, K, dim) at an edge.

    Attributes:
        masked_only: residues that are not masked do not count.
    """

    masked_only: bool = False

    @property
    def of_pairs(self) -> bool:
        """Whether its entries are edges."""
        return bool(self.place[0] == "edge")


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


class DesignLearner(Learner):
    """Masking diffusion with alignments; see `nn.learner.Learner`.

    Batches have what `codecs.residues` makes: coordinates, tokens, mask, residue_index, chain.
    """

    def __init__(self, network: TappedNetwork, settings: Denoising, denoise: Factor, align: Factor) -> None:
        self.network: Any = network
        taps = network.taps if isinstance(network, AlignedNetwork) else ()
        self.settings, self.alignments = settings, Alignments(taps, align)
        self.factors = {DENOISE: denoise, **self.alignments.factors}
        self.kinds = dict.fromkeys(self.alignments.factors, "cosine")

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds times, noisy tokens, moved coordinates and seeds of dropout."""
        settings, mask, coordinates = self.settings, batch["mask"], batch["coordinates"]
        lengths = (batch["chain"] > 0).sum(1).numpy()
        t = unmasking.times(torch.from_numpy(streams("time").uniform()), settings.least)
        drawn = {**batch, "t": t, "noisy": self.masked(batch, t, streams)}
        if settings.noise:
            moved = torch.from_numpy(streams("coordinates").normal(*coordinates.shape[1:], lengths=lengths))
            drawn["coordinates"] = coordinates + settings.noise * moved * mask[..., None, None]
        if getattr(self.network.backbone, "dropout", 0):
            drawn["dropout"] = torch.from_numpy(streams("dropout").seeds())
        if any(tap.of_pairs for tap in self._taps()):  # which pairs are read, and how many count
            drawn[PARTNERS] = self._graph(self._on_device(drawn)).cpu()
        return drawn

    def masked(self, batch: Batch, t: Tensor, streams: Streams) -> Tensor:
        """Noisy tokens (b, L) at times t (b,): of a step, those at a later time show what is shown before, and more."""
        lengths = (batch["chain"] > 0).sum(1).numpy()
        u = torch.from_numpy(streams("mask").uniform(batch["mask"].shape[1], lengths=lengths))
        return unmasking.corrupted(batch["tokens"], t, u, batch["mask"])

    def weights(self, batch: Batch) -> dict[str, float]:
        """Residues that count, and pairs of neighbours that count."""
        weights = {tap.term: self._aligned(tap, batch).sum() for tap in self._taps()}
        if self.computes(DENOISE):
            weights[DENOISE] = self._counted(batch, masked_only=self.settings.masked_only).sum()
        return {name: float(weights[name]) for name in self.factors if name in weights}

    def reads(self) -> tuple[str, ...]:
        """Encoders of the active alignments."""
        return tuple(tap.encoder for tap in self._taps())

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds the graph where it is not drawn yet and the divisor's factor; standardises targets.

        Factor and moments are those of the global batch.
        """
        batch = {**batch, PARTNERS: batch[PARTNERS] if PARTNERS in batch else self._graph(batch)}
        batch["factor"] = torch.ones_like(batch["t"])
        if self.settings.divisor is not None:
            counted = total(self._counted(batch, masked_only=self.settings.masked_only).double().sum()[None])
            batch["factor"] *= (counted / self.settings.divisor).to(batch["t"])
        return self.alignments.completed(batch, total, self.computes, self._valid)

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass: cross-entropy, and negative cosines."""
        logits, projections = self.passed(batch, network, self.alignments.wanted(self.computes))
        terms = {DENOISE: self._denoising(logits, batch)} if self.computes(DENOISE) else {}
        for tap, projection in zip(self._taps(), projections, strict=True):
            aligned = self._aligned(tap, batch)
            found = cosine(projection, batch[tap.aligned])
            terms[tap.term] = LossTerm(-(found * aligned).sum(), float(aligned.sum()))
        return terms

    def passed(self, batch: Batch, network: Callable[..., Any], wanted: list[int] | None, **named: Any) -> Any:
        """The forward pass: logits and hidden states, or projections, of the wanted places; `named` are further words
        for the backbone.
        """
        return network(
            batch["coordinates"], batch["mask"], batch["residue_index"], batch["chain"], batch["noisy"],
            neighbours=batch[PARTNERS], dropout=batch.get("dropout"), wanted=wanted, **named,
        )  # fmt: skip

    def _denoising(self, logits: Tensor, batch: Batch) -> LossTerm:
        settings = self.settings
        loss = unmasking.cross_entropy(logits, batch["tokens"], settings.smoothing)
        per_chain = unmasking.time_weight(batch["t"], settings.time_weight) * batch["factor"]
        counted = self._counted(batch, masked_only=settings.masked_only)
        return LossTerm((loss * counted * per_chain[:, None]).sum(), float(counted.sum()))

    def _taps(self) -> list[ResidueTap]:
        return self.alignments.chosen(self.computes)

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
        return _edge_mask(mask, mask, batch[PARTNERS]) if tap.of_pairs else mask

    def _aligned(self, tap: ResidueTap, batch: Batch) -> Tensor:
        """(b, L) or (b, L, K): where a target counts; at an edge it is the receiver that must be masked."""
        counted = self._counted(batch, masked_only=tap.masked_only)
        return _edge_mask(counted, batch["mask"], batch[PARTNERS]) if tap.of_pairs else counted


def _edge_mask(receiver: Tensor, sender: Tensor, neighbours: Tensor) -> Tensor:
    b, length, k = neighbours.shape
    return receiver[..., None] * sender.gather(1, neighbours.reshape(b, -1)).view(b, length, k)
