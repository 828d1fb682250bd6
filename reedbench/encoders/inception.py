"""The Inception network of the ADM evaluator as an extractor: features of FID, sFID, the inception score, precision and
recall, all from one forward.

SiT, REPA, REED and most others report guided-diffusion's evaluations/evaluator.py; other ports resize differently, or
have other weights, and give other numbers. Images go in as uint8 and are resized to 299 pixels as TensorFlow 1 does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import checkpoint, pins
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError
from reedbench.encoders import Encode, Material, PreparedEncoder, Published, _references
from reedbench.nn.channels import grey_or_coloured

TRAIN = "train"  # reference
HOW = "`weights` of extractor inception are torch-fidelity's weights-inception-2015-12-05-6726825d.pth"
PUBLISHED = 299  # pixels


class Inception(PreparedEncoder):
    """Pool features (2048), and beside them spatial features (2023) and logits without bias (1008)."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["vector"]] = "vector"
    pretrained: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    views: ClassVar[tuple[str, ...]] = ("spatial", "logits")
    unkeyed: ClassVar[frozenset[str]] = frozenset({"batch"})
    cites: ClassVar[tuple[str, ...]] = ("szegedy2016inception", "dhariwal2021adm")
    uses: Literal["inception"] = "inception"

    weights: pins.Weights = Field("inception-2015", examples=["inception-2015"])
    """A name of config/weights.yaml, or a file (.pth, .safetensors; from the working directory or $REEDBENCH_DATA):
    torch-fidelity's weights-inception-2015-12-05-6726825d.pth."""
    reference: Annotated[str, pins.Pin((TRAIN,))] = TRAIN
    """What samples are compared with: the training split (`train`), or an npz file, by a name of config/weights.yaml
    or as a path, such as VIRTUAL_imagenet256_labeled.npz of the ADM evaluator. Frechet distances take its moments
    (mu and sigma, mu_s and sigma_s) where it has them; all else takes its images (arr_0). Its sha256 is in the ids."""
    size: int = Field(PUBLISHED, ge=75)
    """Pixels of a side to which images are brought. Every published number is at 299; fewer are faster on a CPU."""
    batch: int = Field(64, ge=1)
    """Images at a time."""

    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return (pins.file(self.weights),)

    def shape(self, facts: Mapping[str, Any], others: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """Of pool features, spatial features and logits together."""
        return (sum(self._widths()),)

    def published(self) -> Published | None:
        """The reference, if it is a file."""
        if self.reference == TRAIN:
            return None
        found = _references.read(pins.file(self.reference))
        widths = dict(zip(("features", *self.views), self._widths(), strict=True))
        for name, (mean, covariance) in found.moments.items():
            width = widths[name]
            if (mean.shape, covariance.shape) != ((width,), (width, width)):
                raise ConfigError(
                    f"{found.file}: its moments of {name} are of {len(mean)} numbers, and extractor inception at "
                    f"{self.size} pixels gives {width}; take size: {PUBLISHED}, or another reference"
                )
        return found

    def parted(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Pool features, `spatial` and `logits`."""
        pool, spatial, _ = self._widths()
        features, *views = np.split(vectors, [pool, pool + spatial], axis=1)
        return {"features": features, **dict(zip(self.views, views, strict=True))}

    def prepared(self, weights: Mapping[str, np.ndarray], material: Material, device: str = "cpu") -> Encode:
        """Read the weights; it gives (n, 5079) float32 of images of one or three channels, grey ones as colours.

        Raises:
            ConfigError: torch-fidelity is not installed, the weights are those of another network, or images have
                neither one channel nor three.
            MissingArtefact: the weights are not there.
        """
        state = checkpoint.tensors(self.files()[0], HOW)
        try:
            from reedbench.nn import inception
        except ModuleNotFoundError as error:
            raise ConfigError(
                "extractor inception needs torch-fidelity, and it is not installed: pip install 'reedbench[metrics]'"
            ) from error
        try:
            network = inception.build(state, self.size, device)
        except ValueError as error:
            raise ConfigError(f"{self.files()[0]}: is no such network ({error}); {HOW}") from error

        def encode(part: Material) -> np.ndarray:
            import torch

            found, count = [], len(part.rows)
            with Track("inception", count, unit="image") as track:
                for begin in range(0, count, self.batch):
                    images = _coloured(part.rows.take(range(begin, min(begin + self.batch, count))).arrays["images"])
                    seen = inception.seen(network, torch.from_numpy(images))
                    found.append(torch.cat(seen, 1).cpu().numpy())
                    track.update(begin + len(images))
            return np.concatenate(found)

        return encode

    def _widths(self) -> tuple[int, int, int]:
        """Of pool features, spatial features and logits."""
        side = self.size
        for kernel, stride in ((3, 2), (3, 1), (3, 2), (3, 1), (3, 2), (3, 2)):  # up to Mixed_6a, without padding
            side = (side - kernel) // stride + 1
        return 2048, side * side * 7, 1008


def _coloured(images: np.ndarray) -> np.ndarray:
    """(n, 3, height, width) uint8.

    Raises:
        ConfigError: they are neither grey nor of three colours.
    """
    grey_or_coloured(images, "extractor inception")
    return np.array(np.broadcast_to(images, (len(images), 3, *images.shape[2:])), order="C")
