"""Samplers: how a trained network makes data. One file each; the sampler with its settings is part of every number."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin
from reedbench.core.seeds import RowStreams

Streams = Callable[[str], RowStreams]  # name of a draw -> one stream per sample


class AbstractSampler(Plugin):
    """Draws samples from a network; times run from 0 (noise) to 1 (data).

    A final class has `guidance`, a field or a constant: the scale of classifier-free guidance, 1 where it is off.
    """

    domain: ClassVar[str]
    stated: ClassVar[tuple[str, ...]] = ("guidance",)

    @abstractmethod
    def nfe(self) -> int:
        """Network evaluations per sample, as the steps ask for them."""

    @abstractmethod
    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """Samples of one batch, as tensors by name on the network's device.

        Args:
            network: the backbone with averaged weights, in eval mode.
            condition: what the codec starts from (`AbstractCodec.condition`), on the network's device.
            streams: gives by name one stream per sample, from which everything random about it is drawn.
            objective: what the network was trained on.
        """
