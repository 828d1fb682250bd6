"""Self-play on proteins: native sequences are to become likelier than own designs for the same backbones.

Source: SPIN-Diffusion, arXiv:2402.10210; form of Diffusion-DPO as in `nn.self_play`. In the place of a squared error is
the cross-entropy of masked residues: its mean over them is, on average over times, the bound of -log p per residue.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reedbench.nn import unmasking
from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.learner import PARTNERS, POOL, Batch, LossTerm, Others, Streams
from reedbench.nn.masked_diffusion import Denoising, DesignLearner
from reedbench.nn.residues import MASK, UNKNOWN
from reedbench.nn.schedules import Factor
from reedbench.nn.self_play import GAP, SELF_PLAY, preferred, saturated


class SelfPlayDesignLearner(DesignLearner):
    """-log sigma(-(beta/2) [(e(s) - e_ref(s)) - (e(s') - e_ref(s'))]), e the mean of -log p of masked residues.

    s' is a design of the reference for the backbone of s. Both are masked alike, on the same moved coordinates, and are
    in one forward pass, and in one of the reference. A chain of which no known residue is masked does not count. No
    dropout is drawn: the reference has none, and by what it does to designs alone the loss would begin far from log 2.

    Args:
        network: it starts as the reference.
        settings: of times and coordinates.
        beta: how far the network may leave the reference: the larger, the sooner the loss is satisfied.
    """

    def __init__(self, network: TappedNetwork, settings: Denoising, beta: float) -> None:
        super().__init__(network, settings, Factor(), Factor())
        self.factors, self.beta = {SELF_PLAY: Factor()}, beta

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """As of masking diffusion, but for dropout; where a native residue is unknown, so is that of the design.

        No sampler designs X, by which natives could be told from designs.
        """
        batch = super().draw(batch, streams)
        batch.pop("dropout", None)
        unknown = batch["tokens"] == UNKNOWN
        return {**batch, POOL: batch[POOL].masked_fill(unknown, UNKNOWN)}

    def weights(self, batch: Batch) -> dict[str, float]:
        """Chains that count."""
        return {SELF_PLAY: float(self._scored(batch).any(1).sum())}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds what the reference says."""
        return {**batch, GAP: self._gap(batch, others.teacher)}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """The loss, a mean over chains."""
        gap = self._gap(batch, network, wanted=[]) - batch[GAP]
        counted = self._scored(batch).any(1)
        return {SELF_PLAY: LossTerm((preferred(gap, self.beta) * counted).sum(), float(counted.sum()))}

    def remark(self, values: Mapping[str, float]) -> str | None:
        """Once the network is so far from the reference that nothing is learned any more."""
        return saturated(values)

    def _gap(self, batch: Batch, network: Callable[..., Any], **named: Any) -> Tensor:
        """How much less likely a native sequence is than a design, per masked residue, (b,)."""
        hidden, labels = batch["noisy"] == MASK, torch.cat([batch["tokens"], batch[POOL]])
        noisy = torch.cat([batch["noisy"], batch[POOL].masked_fill(hidden, MASK)])
        structure = [torch.cat([batch[n], batch[n]]) for n in ("coordinates", "mask", "residue_index", "chain")]
        logits, _ = network(*structure, noisy, neighbours=torch.cat([batch[PARTNERS]] * 2), **named)
        native, design = unmasking.cross_entropy(logits, labels, smoothing=0.0).chunk(2)
        scored = self._scored(batch)
        return ((native - design) * scored).sum(1) / scored.sum(1).clamp(min=1)

    def _scored(self, batch: Batch) -> Tensor:
        """(b, L): residues that are resolved, known and masked."""
        return (batch["mask"] > 0) & (batch["noisy"] == MASK) & (batch["tokens"] != UNKNOWN)
