"""An image and its class token generated together: REG. Source: arXiv:2507.01467."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from reedbench.nn.aligned import AlignedLearner
from reedbench.nn.alignment import AlignedNetwork
from reedbench.nn.joint import JointFlow, clean
from reedbench.nn.learner import Batch
from reedbench.nn.schedules import Factor

TOKEN = "token"  # the companion of the data, its loss term, and the names of its streams


class EntangledLearner(AlignedLearner):
    """|v - v*|^2 + weight |v_c - (c_1 - c_0)|^2 and alignments over the token and the patches.

    The hidden token is aligned to c_1, the patches to the encoder's; errors are means over entries.
    """

    flow: JointFlow

    def __init__(
        self,
        network: AlignedNetwork,
        flow: JointFlow,
        denoise: Factor,
        align: Factor,
        encoder: str,
        weight: float,
        *,
        mean_over_encoders: bool = False,
    ) -> None:
        super().__init__(network, flow, denoise, align, mean_over_encoders=mean_over_encoders)
        self.encoder = encoder
        self.factors = {**self.factors, TOKEN: denoise.times(weight)}

    def reads(self) -> tuple[str, ...]:
        """The encoder of the token, which the network reads at all steps, and those of active alignments."""
        return tuple(dict.fromkeys((self.encoder, *super().reads())))

    def completed(self, batch: Batch, total: Callable[[Tensor], Tensor]) -> Batch:
        """Adds the clean token, which stands before the targets of all alignments, too."""
        c_1 = batch[f"target/{self.encoder}"]
        batch = {**super().completed(batch, total), clean(TOKEN): c_1}
        for tap in self.alignments.chosen(self.computes):
            batch[tap.aligned] = torch.cat([c_1[:, None].to(batch[tap.aligned].dtype), batch[tap.aligned]], 1)
        return batch

    def extra(self, hidden: list[Tensor], batch: Batch) -> Mapping[str, Tensor]:
        """Alignments, and the error of the token's velocity."""
        return {**super().extra(hidden, batch), **self.flow.errors(batch["velocity"], batch)}
