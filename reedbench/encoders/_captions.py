"""What encoders of captions share that run a model from a folder of transformers."""

from pathlib import Path
from typing import ClassVar

from reedbench.core import pins
from reedbench.encoders import PreparedEncoder


class CaptionEncoder(PreparedEncoder):
    """A published model that reads captions; a subclass has `weights`, a folder of its files."""

    domain: ClassVar[str] = "image"
    pretrained: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})

    captioner: str
    """Name of the captioner whose texts are read."""
    weights: pins.Weights

    def reads_captions_of(self) -> str | None:
        """The captioner."""
        return self.captioner

    def files(self) -> tuple[Path, ...]:
        """The folder."""
        return (pins.folder(self.weights),)
