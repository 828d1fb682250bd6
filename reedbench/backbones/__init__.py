"""Backbones: configurations of the denoiser networks. One file each; the networks themselves live in nn/backbones."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin


class AbstractBackbone(Plugin):
    """Describes a network and builds it."""

    domain: ClassVar[str]

    @abstractmethod
    def blocks(self) -> int:
        """Number of blocks, the largest depth that an alignment can tap."""

    @abstractmethod
    def name(self) -> str:
        """How tables call it."""

    @abstractmethod
    def build(self, shape: tuple[int, ...], facts: Mapping[str, Any]) -> Any:
        """The network for latents of this shape; `facts` is the dataset's index (classes, ...)."""

    def cut(self, network: Any, block: int) -> Any:
        """A network of which only hidden states up to a block, 1-based, are looked at.

        One that can leaves out what comes behind it; what it then predicts has no meaning.
        """
        return network
