"""A convolutional classifier trained in-suite with labels, for colour images of some size (CIFAR): an extractor.

Its pooled features take Inception's part in the Frechet distance; its predictions give class consistency. Beside a
pretrained judge it is the second witness, of another family and other data.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.domains import image
from reedbench.encoders import Material, Pretrained
from reedbench.encoders._descent import descend
from reedbench.encoders._judges import ImageJudge

BATCH = 256  # images per pass when it judges
SCALED = 4096  # training images, at most, that say how large features are


class ConvClassifier(ImageJudge):
    """Six convolutions with batch normalisation, and one linear layer on the mean over the image."""

    uncited: ClassVar[str] = "a small network of our own, trained here"
    uses: Literal["conv-classifier"] = "conv-classifier"

    dim: int = Field(128, ge=4, multiple_of=4)
    """Number of features."""
    steps: int = Field(1200, ge=1)
    """Training steps; with 128 images each three epochs of CIFAR-10."""
    batch: int = Field(128, ge=2)
    """Images per step, each mirrored or not by chance."""
    lr: float = Field(3.0e-3, gt=0)
    """Peak learning rate of AdamW; 20 steps of warm-up, then a cosine."""

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train with labels; the card says how accurate it is on the test split."""
        import torch
        from torch.nn.functional import cross_entropy

        from reedbench.nn.draws import integers
        from reedbench.nn.initialisation import as_torch_does

        began = time.process_time()
        images, labels = train.rows.arrays["images"], torch.from_numpy(image.classes_of(train.rows))
        network = self._network(images.shape[1], int(labels.max()) + 1)
        as_torch_does(network, lambda name: seeds.stream(stream, "init", name))
        draws = seeds.stream(stream, "batches")

        def loss() -> Any:
            chosen = integers(draws, len(images), self.batch)
            mirrored = draws.random(self.batch) < 0.5
            own = images[chosen.numpy()]
            own[mirrored] = own[mirrored, ..., ::-1]
            return cross_entropy(network(_tensor(own)), labels[chosen])

        losses = descend(
            list(network.parameters()), loss, title=stream, steps=self.steps, lr=self.lr, weight_decay=0.01, clip=1.0
        )
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        some = train.rows.take(range(0, len(images), -(-len(images) // SCALED)))
        raw = self.represent({**weights, "scale": np.ones(1, np.float32)}, Material(some))
        weights["scale"] = np.sqrt(np.square(raw).mean(keepdims=True)).reshape(1)
        correct = self.classify(weights, test) == image.classes_of(test.rows)
        card = {
            "objective": "cross-entropy on the training split",
            "images_went_through": self.through,
            "first_loss": losses[0],
            "last_loss": losses[-1],
            "test_accuracy": round(float(correct.mean()), 4),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, dim) float32 features, of mean square 1 over the training split.

        One common factor changes no comparison under the Frechet distance, and keeps the cubic kernel distance sane.
        """
        return self._run(weights, material, lambda network, images: network.features(images)) / weights["scale"]

    def classify(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n,) int64 predicted classes."""
        predicted: np.ndarray = self._run(weights, material, lambda network, images: network(images)).argmax(1)
        return predicted

    def _network(self, channels: int, classes: int) -> Any:
        import torch

        from reedbench.nn.small_images import DeepClassifier

        # This layout in memory is what convolutions on CPUs are fastest in.
        return DeepClassifier(channels, self.dim, classes).to(memory_format=torch.channels_last)

    def _run(
        self, weights: Mapping[str, np.ndarray], material: Material, what: Callable[[Any, Any], Any]
    ) -> np.ndarray:
        import torch

        images = material.rows.arrays["images"]
        network = self._network(images.shape[1], len(weights["head.bias"]))
        network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items() if name != "scale"})
        network.eval()
        with torch.no_grad():
            parts = [what(network, _tensor(images[i : i + BATCH])).numpy() for i in range(0, len(images), BATCH)]
        return np.concatenate(parts)


def _tensor(images: np.ndarray) -> Any:
    """uint8 -> float32 in [-1, 1], as the network wants it in memory."""
    import torch

    return torch.from_numpy(image.to_signed(images)).to(memory_format=torch.channels_last)
