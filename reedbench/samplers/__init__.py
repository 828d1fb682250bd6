"""Samplers: how a trained network makes data. One file each; the sampler with its settings is part of every number."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin
from reedbench.core.seeds import RowStreams

Streams = Callable[[str], RowStreams]  # name of a draw -> one stream per sample
EVALUATIONS = "evaluations"  # what `draw` says of each sample where `nfe` does not know


class AbstractSampler(Plugin):
    """Draws samples from a network; times run from 0 (noise) to 1 (data).

    A final class has `guidance`, a field or a constant: the scale of classifier-free guidance, 1 where it is off.
    """

    domain: ClassVar[str]
    stated: ClassVar[tuple[str, ...]] = ("guidance",)

    @property
    def couples(self) -> bool:
        """Whether samples of a network call depend on each other, so that `sampling.batch` is part of their key."""
        return False

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """Why it cannot draw data of this shape in the backbone's space, with what to change; none where it can."""
        return None

    def unfit(self, objective: Any) -> str | None:
        """Why it cannot draw from what an objective trains, with what to change; none where it can."""
        return None

    @abstractmethod
    def nfe(self, objective: Any) -> int | None:
        """Network evaluations per sample of what an objective trains; None where `draw` must count them."""

    @abstractmethod
    def draw(self, network: Any, condition: Mapping[str, Any], streams: Streams, objective: Any) -> dict[str, Any]:
        """Samples of one batch, as tensors by name on the network's device.

        Where `nfe` is None, `evaluations` (b,) is among them, whole numbers: those that each sample took.

        Args:
            network: the backbone with averaged weights, in eval mode.
            condition: what the codec starts from (`AbstractCodec.condition`), on the network's device.
            streams: gives by name one stream per sample, from which everything random about it is drawn.
            objective: what the network was trained on.
        """
