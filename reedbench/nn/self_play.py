"""Self-play: data are to become likelier than own samples, compared with a frozen reference.

Source: SPIN-Diffusion, arXiv:2402.10210, its approximation by single times; the form is that of the public code of
Diffusion-DPO (train.py of SalesforceAIResearch/DiffusionDPO): half of beta, and errors as means over elements.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from reedbench.nn.flow import FlowLearner, FlowMatching
from reedbench.nn.learner import POOL, Batch, LossTerm, Others
from reedbench.nn.schedules import Factor

SELF_PLAY: Final = "self-play"
GAP: Final = "reference-gap"  # (b,): what the reference's error is larger on data than on samples
SATURATED: Final = 0.01  # a loss below which all but no gradient is left; it starts at log 2

Call = Callable[[Tensor, Tensor, Tensor], Tensor]  # velocity of x, t and y


class SelfPlayLearner(FlowLearner):
    """-log sigma(-(beta/2) [(e(x) - e_ref(x)) - (e(x') - e_ref(x'))]), e the velocity error of a row.

    x' is a sample of the reference for the same label, at the time, noise and (maybe dropped) label of x. Both are in
    one forward pass, and in one of the reference, so that equal networks give equal errors.

    Args:
        network: see `FlowLearner`; it starts as the reference.
        flow: draws and the velocity error.
        beta: how far the network may leave the reference: the larger, the sooner the loss is satisfied.
    """

    def __init__(self, network: Any, flow: FlowMatching, beta: float) -> None:
        super().__init__(network, flow, Factor())
        self.factors, self.beta = {SELF_PLAY: Factor()}, beta

    def looked_up(self, batch: Batch, step: int, others: Others) -> Batch:
        """Adds what the reference says, in the precision of the data."""
        return {**batch, GAP: self._gap(batch, lambda *inputs: others.teacher(*inputs)[0])}

    def terms(self, batch: Batch, network: nn.Module) -> dict[str, LossTerm]:
        """The loss, a mean over rows."""
        gap = self._gap(batch, lambda *inputs: network(*inputs, wanted=[])[0]) - batch[GAP]
        return {SELF_PLAY: LossTerm(preferred(gap, self.beta).sum(), self.counted(SELF_PLAY, batch))}

    def remark(self, values: Mapping[str, float]) -> str | None:
        """Once the network is so far from the reference that nothing is learned any more."""
        return saturated(values)

    def _gap(self, batch: Batch, velocity: Call) -> Tensor:
        """Error on data less that on samples, (b,)."""
        shared = {name: torch.cat([batch[name], batch[name]]) for name in ("x_0", "t", "y")}
        both = {**shared, "x_1": torch.cat([batch["x_1"], batch[POOL]])}
        data, samples = self.flow.error(velocity(*self.flow.inputs(both)), both).chunk(2)
        return data - samples


def preferred(gap: Tensor, beta: float) -> Tensor:
    """The loss of rows, given how much more than the reference a network errs on data than on samples (b,)."""
    return -logsigmoid(-beta / 2 * gap)


def saturated(values: Mapping[str, float]) -> str | None:
    """What to say of a loss (terms by name) of which next to nothing is left."""
    if values.get(SELF_PLAY, 1.0) >= SATURATED:
        return None
    return (
        f"{SELF_PLAY} {values[SELF_PLAY]:.2g} is next to nothing, and so are its gradients: the sigmoid is saturated; "
        "lower beta, or end the round sooner"
    )
