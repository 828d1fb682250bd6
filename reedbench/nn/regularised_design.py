"""Masking diffusion of sequences with losses on hidden states of residues, which need no encoder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from reedbench.nn.alignment import TappedNetwork
from reedbench.nn.learner import DENOISE, Batch, LossTerm
from reedbench.nn.masked_diffusion import Denoising, DesignLearner
from reedbench.nn.schedules import Factor


@dataclass(frozen=True)
class Further:
    """A further term of a micro-batch.

    Attributes:
        factor: over training.
        counted: (b, L) or (b,), 1 for residues or chains that count.
        values: of hidden states (b, L, width), in the order of the taps, and that batch: like `counted`.
    """

    factor: Factor
    counted: Callable[[Batch], Tensor]
    values: Callable[[list[Tensor], Batch], Tensor]


def residues(batch: Batch) -> Tensor:
    """(b, L): those that are resolved."""
    return batch["mask"]


def chains(batch: Batch) -> Tensor:
    """(b,): those of which a residue is resolved; padding is none."""
    return batch["mask"].amax(1)


class RegularisedDesignLearner(DesignLearner):
    """The denoising loss, and further terms; see `nn.learner.Learner`.

    Args:
        network: hands out what the further terms read.
        settings: of the denoising loss.
        denoise: its factor.
        further: terms by name.
        group: see `Learner.group`.
    """

    def __init__(
        self, network: TappedNetwork, settings: Denoising, denoise: Factor, further: Mapping[str, Further], group: int
    ) -> None:
        super().__init__(network, settings, denoise, Factor())
        self.further, self.group = further, group
        self.factors = {DENOISE: denoise, **{name: term.factor for name, term in further.items()}}

    def weights(self, batch: Batch) -> dict[str, float]:
        """Residues or chains that count."""
        return {**super().weights(batch), **{name: float(x.counted(batch).sum()) for name, x in self._active().items()}}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """One forward pass."""
        logits, hidden = self.passed(batch, network, self.wanted())
        terms = {DENOISE: self._denoising(logits, batch)} if self.computes(DENOISE) else {}
        for name, term in self._active().items():
            counted = term.counted(batch)
            terms[name] = LossTerm((term.values(hidden, batch) * counted).sum(), float(counted.sum()))
        return terms

    def wanted(self) -> list[int] | None:
        """Numbers of the hidden states that active terms need; None: all."""
        return None if self._active() else []

    def _active(self) -> dict[str, Further]:
        return {name: term for name, term in self.further.items() if self.computes(name)}
