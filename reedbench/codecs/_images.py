"""What codecs of images share: labels that are asked for, noise to start from, npz files of samples."""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from reedbench.codecs import AbstractCodec, Batch, Facts, Streams
from reedbench.domains import image, rows
from reedbench.domains.rows import TRAIN, Rows

PREVIEW = 10  # images that figures show
FILE = "samples.npz"


class ImageCodec(AbstractCodec):
    """Images <-> latents on which a flow runs; a subclass says how one becomes the other."""

    domain: ClassVar[str] = "image"
    real_are: ClassVar[str] = "training images"
    named: ClassVar[str] = "classes, in reading order"
    labelled: ClassVar[bool] = True

    @abstractmethod
    def latent_shape(self, image_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one latent, given the shape of one image."""

    @abstractmethod
    def encode(self, data: np.ndarray) -> np.ndarray:
        """(n, channels, height, width) uint8 -> float32 latents."""

    @abstractmethod
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Sampled latents -> uint8 images."""

    def shape(self, facts: Facts) -> tuple[int, ...]:
        """Shape of one latent."""
        return self.latent_shape(tuple(facts["shapes"]["images"]))

    def batch(self, arrays: Mapping[str, Any], length: int | None = None) -> Batch:
        """`x_1`, the latents, and `labels`."""
        import torch

        return {
            "x_1": torch.from_numpy(self.encode(arrays["images"])),
            "labels": torch.from_numpy(arrays["labels"].astype(np.int64)),
        }

    def asked(self, folder: Path | str, facts: Facts, count: int, streams: int) -> Rows:
        """Classes in equal shares: sample i is asked for class i mod classes; the null label where there are none."""
        labels = np.arange(count) % max(1, int(facts["classes"]))
        return Rows([str(i) for i in range(count)], ["asked"] * count, {"labels": labels})

    def relabelled(self, asked: Rows, facts: Facts, streams: Streams) -> Rows:
        """Any class at equal chances, from the stream `labels`."""
        labels = streams("labels").seeds() % int(facts["classes"])
        return Rows(asked.ids, asked.split, {**asked.arrays, "labels": labels})

    def condition(self, asked: Rows, facts: Facts, streams: Streams) -> Batch:
        """`x_0`, noise, and `labels`."""
        import torch

        noise = torch.from_numpy(streams("noise").normal(*self.shape(facts)))
        return {"x_0": noise, "labels": torch.from_numpy(asked.arrays["labels"])}

    def samples(self, drawn: Mapping[str, Any], asked: Rows) -> Rows:
        """`images` (n, channels, height, width) uint8 and the `labels` that were asked for."""
        images = self.decode(drawn["x_1"].numpy())
        return Rows(asked.ids, ["sample"] * len(asked), {"images": images, "labels": asked.arrays["labels"]})

    def again(self, data: Rows) -> Rows:
        """Images encoded and decoded."""
        images = self.decode(self.encode(data.arrays["images"]))
        return Rows(data.ids, data.split, {**data.arrays, "images": images})

    def write(self, folder: Path | str, samples: Rows) -> None:
        """`samples.npz`, as the ADM evaluator reads it."""
        pieces = (samples.take(range(piece.start, piece.stop)).arrays["images"] for piece in samples.cuts())
        image.write_samples(Path(folder) / FILE, pieces, samples.arrays["labels"])

    def read(self, folder: Path | str) -> Rows:
        """Images, as a memory map where they are many, and labels."""
        images, labels = image.read_samples(Path(folder) / FILE)
        ids = [str(i) for i in range(len(labels))]
        return Rows(ids, ["sample"] * len(ids), {"images": images, "labels": labels})

    def preview(self, samples: Rows, asked: Rows) -> np.ndarray:
        """(10, height, width, channels) uint8."""
        return _channels_last(samples.arrays["images"][:PREVIEW])

    def real(self, folder: Path | str, asked: Rows) -> np.ndarray:
        """(10, height, width, channels) uint8: the first training images of the classes that were asked for."""
        wanted = asked.arrays["labels"][:PREVIEW]
        return _channels_last(rows.first_of(folder, TRAIN, wanted).arrays["images"])

    def names(self, asked: Rows) -> list[str]:
        """The classes."""
        return [str(label) for label in asked.arrays["labels"][:PREVIEW]]

    def picture(self, preview: np.ndarray) -> np.ndarray:
        """Five images in a row."""
        return image.montage(preview)

    def numbers(self, preview: np.ndarray) -> list[dict[str, Any]]:
        """Grey levels, or channels, of each image."""
        return [
            {"sample": n, "pixels": " ".join(map(str, each.reshape(-1).tolist()))} for n, each in enumerate(preview)
        ]


def _channels_last(images: np.ndarray) -> np.ndarray:
    last: np.ndarray = images.transpose(0, 2, 3, 1)
    return last
