"""Backbones: configurations of the denoiser networks. One file each; the networks themselves live in nn/backbones."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from reedbench.core.plugins import Plugin
from reedbench.nn.backbones.published import Foreign


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

    @classmethod
    def published(cls, found: Mapping[str, Any]) -> Any:
        """What a file of weights from outside is, of the kinds that it reads (`nn.backbones.published.Published`).

        Args:
            found: what the file holds: tensors and plain values.

        Raises:
            Foreign: it is of no such kind; the message is about the file, and does not name it.
            ValueError: it is, and something is wrong with it.
        """
        raise Foreign(f"cannot be read: {cls.plugin_name()} takes no weights from outside", "")

    @classmethod
    def named(cls, sizes: Mapping[str, Any]) -> str:
        """How tables call the network of a published file, by its `sizes`."""
        own = {name: size for name, size in sizes.items() if name in cls.model_fields}
        return cls(**own).name()
