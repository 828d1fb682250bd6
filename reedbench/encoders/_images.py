"""What encoders of images share that run a published network: batches, moments over tokens, and a probe of labels."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from reedbench.core.console import Track
from reedbench.domains import image
from reedbench.encoders import Material, Online, PreparedEncoder
from reedbench.nn.channels import grey_or_coloured


class PublishedEncoder(PreparedEncoder):
    """A published network of images: its representations are made before training and kept, or in every step."""

    needs_test: ClassVar[bool] = False
    on_gpu: ClassVar[bool] = True
    studies_on_gpu: ClassVar[bool] = True

    mode: Literal["cached", "online"] = "cached"
    """`cached`: representations of all training images are made once and kept, in half precision. `online`: training
    asks the network in every step, which costs time and no disk; its time and FLOPs are the run's."""
    batch: int = Field(32, ge=1)
    """Images at a time."""

    _device: str = PrivateAttr("cpu")

    def on(self, device: str) -> Self:
        """The same, whose moments and card are measured on a device."""
        copy = self.model_copy()
        copy._device = device
        return copy

    def pretraining_flops(self, facts: Mapping[str, Any], train: int, test: int) -> float | None:
        """Of the network, for the images of both splits that are looked at."""
        each = self.flops(facts)
        return None if each is None else each * (self.studied_rows(train) + self.studied_rows(test))

    @property
    def is_online(self) -> bool:
        """As `mode` says."""
        return self.mode == "online"

    @abstractmethod
    def function(self, weights: Mapping[str, np.ndarray], device: str) -> Callable[[Any], Any]:
        """The network on a device: uint8 images there -> its tokens or vectors, before they are standardised."""

    def online(self, weights: Mapping[str, np.ndarray], facts: Mapping[str, Any], device: str) -> Online:
        """The network and the standardisation, on a device.

        Raises:
            ConfigError: timm is not installed, or the weights are those of another network.
            MissingArtefact: they are not there.
        """
        import torch

        network = self.function(weights, device)
        mean, std = (torch.from_numpy(weights[name]).to(device) for name in ("mean", "std"))
        shape = self.shape(facts, {})
        assert shape is not None, "the network is installed, and tells it"
        return Online(lambda images: (network(images).float() - mean) / std, shape, self.batch)


def images_of(material: Material, encoder: str) -> Any:
    """(n, channels, height, width) uint8, as a tensor.

    Raises:
        ConfigError: they are neither grey nor of three colours.
    """
    import torch

    images = grey_or_coloured(material.rows.arrays["images"], f"encoder {encoder}")
    return torch.from_numpy(np.ascontiguousarray(images))


def coded(material: Material, batch: int, encoder: str, model: str, what: Callable[[Any], Any]) -> Iterator[np.ndarray]:
    """What a network makes of all images, float32, batch by batch.

    Args:
        material: whose images.
        batch: images at a time.
        encoder: its name, for messages.
        model: that of the network, for the progress.
        what: images, as `images_of` gives them, to a tensor.
    """
    import torch

    count = len(material.rows)
    with torch.no_grad(), Track(f"{encoder} {model}", count, unit="image") as track:
        for begin in range(0, count, batch):
            images = images_of(material.take(range(begin, min(begin + batch, count))), encoder)
            yield what(images).float().cpu().numpy()
            track.update(begin + len(images))


def measured(found: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean token of each image, and mean and deviation of every channel over all tokens; 1 where it does not vary."""
    pooled, count, total, squares = [], 0, 0.0, 0.0
    for x in found:
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        count, total, squares = count + len(flat), total + flat.sum(0), squares + np.square(flat).sum(0)
        pooled.append(x.reshape(len(x), -1, x.shape[-1]).mean(1))
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 0))
    return np.concatenate(pooled), mean.astype(np.float32), np.where(std > 1e-6, std, 1.0).astype(np.float32)


def attention_quality(found: Iterable[np.ndarray]) -> dict[str, Any]:
    """For the card, of logits (n, layers, heads, tokens, tokens) part by part: how far attention is from even.

    0 where a head looks everywhere alike and has nothing to teach, 1 where each query looks at one token.
    """
    count, total = 0, np.zeros(())
    for x in found:
        shifted = x.astype(np.float64) - x.max(-1, keepdims=True)
        share = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
        entropy = -(share * np.log(np.maximum(share, 1e-300))).sum(-1)
        count, total = count + len(x), total + (1 - entropy / np.log(x.shape[-1])).mean((2, 3)).sum(0)
    return {
        "focus": [round(float(layer), 4) for layer in total / count],
        "focus_is": "1 - entropy / log(tokens) of each layer's attention, mean over training images, heads and queries",
    }


def probed(pooled: np.ndarray, train: Material, of_test: np.ndarray, test: Material) -> dict[str, Any]:
    """For the card: how much of the labels is to be seen in the mean tokens of both splits."""
    from reedbench.nn.ridge import probe

    labels, test_labels = (image.classes_of(part.rows) for part in (train, test))
    return {
        "probe_accuracy": round(probe(pooled, labels, of_test, test_labels), 4),
        "probe": "ridge regression on the mean token, training split -> test split",
    }
