"""SGDF: a network finds clusters of its own features (SwAV), and is then told them in place of labels.

Source: arXiv:2312.08825; sgfm @103d158; SwAV, arXiv:2006.09882 (codes by Sinkhorn's iterations).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, from_numpy

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import WHOLE, Batch, Others, Streams
from reedbench.nn.schedules import Factor

SWAV, DROPPED = "swav", "dropped"
EPSILON: Final = 0.05
ITERATIONS: Final = 3
TEMPERATURE: Final = 0.1
WINDOW: Final = (0.8, 0.9)  # times of the rows whose clusters are learned
CLEAN: Final = 0.85  # time at which a row's cluster is looked up
# What is left of the histogram's counts after a step: it is about the last thousand or so.
MEMORY: Final = 0.999


def codes(scores: Tensor) -> Tensor:
    """Soft clusters of rows that share them evenly: scores (..., b, k) -> (..., b, k), every row adds up to 1.

    Sinkhorn and Knopp's iterations on exp(scores / epsilon), clusters first.
    """
    q = (scores / EPSILON).exp()
    rows, clusters = q.shape[-2:]
    q = q / q.sum((-2, -1), keepdim=True)
    for _ in range(ITERATIONS):
        q = q / q.sum(-2, keepdim=True) / clusters
        q = q / q.sum(-1, keepdim=True) / rows
    return q * rows


def swav(scores: Tensor, t: Tensor, group: int, window: tuple[float, float] = WINDOW) -> Tensor:
    """Cross-entropy of codes and of softmax(scores / 0.1) for rows at times between, both ends left out; else 0.

    Args:
        scores: (b, k) cosines; codes do not feel what is made of them.
        t: (b,).
        group: rows that share codes; `WHOLE` for all.
        window: times.

    Returns:
        (b,).
    """
    with torch.no_grad():
        parts = scores.detach().unflatten(0, (-1, group or len(scores)))
        wanted = codes(parts).flatten(0, 1)
    entropy = -(wanted * (scores / TEMPERATURE).log_softmax(1)).sum(1)
    return torch.where((t > window[0]) & (t < window[1]), entropy, torch.zeros_like(entropy))


class Clustered(FlowLearner):
    """The velocity loss and the clusters' own, in two stages.

    In stage 1 no row is told anything. In stage 2 each is told the cluster that the weight average sees at t = 0.85
    under the condition of stage 1, on the way to the same noise; a share of rows is told that there is none.

    Args:
        network: of a `nn.backbones.clustered.ClusteredSiT`, whose scores are tapped.
        flow: draws and the velocity error; its `label_dropout` is the share.
        denoise: factor of the velocity loss.
        clusters: factor of the clusters' loss.
        stage: first step of stage 2; until then the average is no other than the network.
        group: rows that share codes; `WHOLE` for all.
    """

    def __init__(
        self, network: Any, flow: FlowMatching, denoise: Factor, clusters: Factor, *, stage: int, group: int
    ) -> None:
        super().__init__(network, flow, denoise, {SWAV: clusters}, group=group)
        self.stage, self._seen = stage, torch.zeros(0)

    def phases(self) -> tuple[int, ...]:
        """With the first step that looks clusters up."""
        return tuple(sorted({*super().phases(), self.stage}))

    def misfit(self, batch: int, world: int, accumulation: int, *, packed: bool) -> str | None:
        """Codes share clusters evenly among rows: with fewer rows than clusters they mean nothing."""
        clusters = self.network.backbone.clusters
        if self.group == WHOLE and batch < clusters:
            return (
                f"{clusters} clusters cannot be shared by a batch of {batch} rows: raise train.batch, or lower clusters"
            )
        return super().misfit(batch, world, accumulation, packed=packed)

    def average_restarts(self, step: int) -> bool:
        """Up to stage 2, which begins with an average that is the network."""
        return step <= self.stage

    def begin(self, step: int) -> None:
        """No cluster was seen in this step."""
        super().begin(step)
        self._seen = torch.zeros(self.network.backbone.clusters, dtype=torch.float64)

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws, and which rows are told no cluster: those that would lose their label."""
        dropped = from_numpy(streams("label-dropout").uniform() < self.flow.label_dropout)
        return {**super().draw(batch, streams), DROPPED: dropped}

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Puts the condition, (b,), in the place of y."""
        network = self.network.backbone
        nothing = torch.full_like(batch["y"], network.unconditional)
        if step < self.stage:
            return {**batch, "y": nothing}
        clean = torch.full_like(batch["t"], CLEAN)
        x_t, t, _ = self.flow.inputs({**batch, "t": clean})
        _, (scores,) = others.average(x_t, t, nothing, wanted=[0], only_taps=True)
        # Of scores, and not of codes, which depend on other rows.
        cluster = scores.argmax(1)
        each = cluster[:, None] == torch.arange(network.clusters, device=cluster.device)
        self._seen = self._seen.to(cluster.device) + each.double().sum(0)
        return {**batch, "y": torch.where(batch[DROPPED], network.clusters, cluster)}

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """The clusters' loss; only the head and the prototypes feel it."""
        return {SWAV: swav(hidden[0].to(batch["x_1"].dtype), batch["t"], self.group)}

    @torch.no_grad()
    def settled(self, step: int, total: Callable[[Tensor], Tensor]) -> None:
        """Prototypes have unit length before the next pass; the histogram has the clusters of this step."""
        network = self.network.backbone
        network.renorm()
        if step >= self.stage:
            seen = total(self._seen).to(network.histogram)
            network.histogram.mul_(MEMORY).add_(seen)


def drawn_clusters(histogram: Tensor, chance: Tensor) -> Tensor:
    """Clusters (b,) in proportion to a histogram (k,), by uniform draws (b,) in [0, 1)."""
    below = histogram.double().cumsum(0)
    found = torch.bucketize(chance.double().to(below) * below[-1], below, right=True)
    return found.clamp(max=int(histogram.nonzero().max()))  # rounding may take a draw of almost 1 to the end
