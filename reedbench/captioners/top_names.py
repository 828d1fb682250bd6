"""Captions without a vision-language model: an ImageNet classifier's three best names, and two colours.

Takes the part of the model that REED asks to describe an image (arXiv:2507.08980). Names are a classifier's guesses,
not labels of the data; those of ImageNet are WordNet's, their first word or words.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.captioners import AbstractCaptioner
from reedbench.core import checkpoint, pins
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError
from reedbench.domains import colours
from reedbench.domains.rows import Rows

RANDOM = "none"  # weights
CLASSES = 1000


class TopNames(AbstractCaptioner):
    """`A photo of an airliner, or a warplane, or an airship; blue on a white background.`"""

    domain: ClassVar[str] = "image"
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})
    cites: ClassVar[tuple[str, ...]] = ("miller1995wordnet",)
    uses: Literal["top-names"] = "top-names"

    model: str = Field(examples=["test_efficientnet"])
    """Name of a model of timm that classifies ImageNet's 1,000 classes, in the order of their wnids."""
    weights: Annotated[str, pins.Pin((RANDOM,))] = Field(examples=[RANDOM])
    """A name of config/weights.yaml, a file (from the working directory or $REEDBENCH_DATA), or `none`: random weights,
    whose names mean nothing; the control."""
    size: int | None = Field(None, ge=8)
    """Pixels of a side to which images are brought; the model's own where it is left out."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of weights and activations. `bf16` halves the time on a CPU that has such instructions; on another one fp32 is
    taken in its place."""
    batch: int = Field(32, ge=1)
    """Images at a time."""

    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return () if self.weights == RANDOM else (pins.file(self.weights),)

    def captions(self, rows: Rows) -> list[str]:
        """One sentence per image.

        Raises:
            ConfigError: timm has no such model, the weights are those of another one, or of other classes.
            MissingArtefact: they are not there.
        """
        middle, edge = colours.middle_and_edge(rows.arrays["images"])
        words = zip(self._best(rows.arrays["images"]), colours.named(middle), colours.named(edge), strict=True)
        return [sentence(names, inside, outside) for names, inside, outside in words]

    def _best(self, images: np.ndarray) -> Iterator[list[str]]:
        """Names of the three largest logits of each image."""
        import torch

        from reedbench.nn import timm_models

        network = timm_models.placed(self._network(), self.precision)
        prepare, weight = timm_models.Preparation(network, self.size, None), next(network.parameters())
        with torch.no_grad(), Track(f"captions by {self.model}", len(images), unit="image") as track:
            for begin in range(0, len(images), self.batch):
                part = torch.from_numpy(np.ascontiguousarray(images[begin : begin + self.batch]))
                logits = network(prepare(part).to(weight)).float().numpy()
                if logits.shape[1] != CLASSES:
                    raise ConfigError(
                        f"captioner {self.uses}: {self.model} with weights {self.weights} has {logits.shape[1]} "
                        f"classes, not ImageNet's {CLASSES}"
                    )
                # Stable, so that equal logits are told apart by their number.
                best = np.argsort(-logits, axis=1, kind="stable")[:, :3]
                yield from ([imagenet_names()[i] for i in row] for row in best)
                track.update(begin + len(part))

    def _network(self) -> Any:
        from reedbench.nn import timm_models

        try:
            if self.weights == RANDOM:
                return timm_models.build(self.model, self.size, classes=CLASSES)
            state = checkpoint.tensors(self.files()[0], f"`weights` of captioner {self.uses} must be of {self.model}")
            return timm_models.filled(self.model, state, self.size)
        except ValueError as error:
            raise ConfigError(f"captioner {self.uses}: {self.model}: {error}") from error


@cache
def imagenet_names() -> list[str]:
    """The 1,000 classes in the order of their wnids; the first of each one's synonyms."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    return [info.label_name_to_description(name, detailed=False).split(",")[0] for name in info.label_names()]


def sentence(names: list[str], inside: str, outside: str) -> str:
    """The caption of an image with these names, whose middle and edge have these colours."""
    guesses = ", or ".join(f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}" for name in names)
    return f"A photo of {guesses}; {inside} on {'an' if outside[0] in 'aeiou' else 'a'} {outside} background."
