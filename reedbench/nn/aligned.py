"""Denoising with any number of aligned hidden layers: none is SiT, one is REPA, several with a curriculum are REED.

Source: REPA, arXiv:2410.06940; REED, arXiv:2507.08980, loss omega(s) L_denoise + rho(s) sum_j w_j L_align,j.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from reedbench.nn.alignment import Projector, cosine_alignment, pool_tokens, sample_weights
from reedbench.nn.flow import FlowMatching
from reedbench.nn.learner import Batch, LossTerm, Streams

DENOISE = "denoise"


@dataclass(frozen=True)
class Tap:
    """One alignment as the loss sees it.

    Attributes:
        term: name of its loss term.
        target: key of its representations in a batch, (b, tokens, dim) or (b, dim).
        depth: block whose output is aligned, 1-based.
        weight: coefficient w_j.
        time_weight: weight as a function of t.
        mode: `per-sample` or `reference`, see `sample_weights`.
        pooled: hidden tokens are averaged before the projector (targets that are one vector per datum).
        probe: the projector learns, the backbone does not feel it.
    """

    term: str
    target: str
    depth: int
    weight: float
    time_weight: Callable[[Tensor], Tensor]
    mode: Literal["per-sample", "reference"]
    pooled: bool
    probe: bool


class AlignedNetwork(nn.Module):
    """A backbone and one projector per tap; `backbone(x, t, y, taps)` returns velocity and tapped hidden states."""

    def __init__(self, backbone: nn.Module, projectors: Sequence[Projector], taps: Sequence[Tap]) -> None:
        super().__init__()
        self.backbone, self.projectors, self.taps = backbone, nn.ModuleList(projectors), tuple(taps)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Velocity, and the projection of every tap in order."""
        velocity, hidden = self.backbone(x, t, y, taps=[tap.depth for tap in self.taps])
        return velocity, [self._project(i, h) for i, h in enumerate(hidden)]

    def _project(self, i: int, h: Tensor) -> Tensor:
        tap = self.taps[i]
        h = h.detach() if tap.probe else h
        projection: Tensor = self.projectors[i](pool_tokens(h) if tap.pooled else h)
        return projection


class AlignedLearner:
    """The loss of SiT, REPA and REED; see `nn.learner.Learner`."""

    def __init__(
        self,
        network: AlignedNetwork,
        flow: FlowMatching,
        denoise: Callable[[int], float],
        align: Callable[[int], float],
        *,
        mean_over_encoders: bool,
    ) -> None:
        self.network, self.flow, self.taps = network, flow, network.taps
        self.denoise, self.align = denoise, align
        self.share = 1 / len(self.taps) if mean_over_encoders and self.taps else 1.0

    def draw(self, batch: Batch, streams: Streams) -> Batch:
        """Adds the flow's draws."""
        return self.flow.draw(batch, streams)

    def weights(self, batch: Batch) -> dict[str, float]:
        """Every term is a mean over samples."""
        return dict.fromkeys((DENOISE, *(tap.term for tap in self.taps)), float(len(batch["x_1"])))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds one time weight per tap, which is the mean over the global batch in `reference` mode."""
        weights = {f"tau/{tap.term}": sample_weights(tap.time_weight(batch["t"]), tap.mode, total) for tap in self.taps}
        return batch | weights

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass; alignment terms are negative cosines with their time weights, without coefficients."""
        velocity, projections = network(*self.flow.inputs(batch))
        weight = float(len(velocity))
        terms = {DENOISE: LossTerm(self.flow.error(velocity, batch).sum(), weight)}
        for tap, projection in zip(self.taps, projections, strict=True):
            per_sample = cosine_alignment(projection, batch[tap.target])
            terms[tap.term] = LossTerm((per_sample * batch[f"tau/{tap.term}"]).sum(), weight)
        return terms

    def coefficients(self, step: int) -> dict[str, float]:
        """omega(s) for denoising, rho(s) w_j for the alignments (a share 1/N of it where REPA's mean is asked for)."""
        rho = self.align(step) * self.share
        return {DENOISE: self.denoise(step), **{tap.term: rho * tap.weight for tap in self.taps}}

    def sampling_parameters(self) -> int:
        """Parameters of the backbone."""
        return sum(parameter.numel() for parameter in self.network.backbone.parameters())

    def published(self, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Averages and constants by the names of SiT's, REPA's and REED's checkpoints.

        These are the backbone's without a prefix, then `projectors.<j>.*`.
        """
        state = {**self.network.state_dict(), **average}
        return {name.removeprefix("backbone."): tensor for name, tensor in state.items()}
