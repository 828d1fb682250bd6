"""A classifier trained on the training split with labels: the extractor of small-image metrics, never a target.

Its penultimate features take Inception's part in the Frechet distance; its predictions give class consistency.
"""

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from reedbench.core import seeds
from reedbench.core.console import Track
from reedbench.domains import image
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Material, Pretrained

HALVES = {"both": (0, 1), "even": (0, 2), "odd": (1, 2)}  # first row, and every how many
NOISE = 0.1  # standard deviation added to training images, in units of [-1, 1]


class SmallClassifier(AbstractEncoder):
    """Two convolutions and two linear layers."""

    domain: ClassVar[str] = "image"
    kind: ClassVar[Literal["tokens", "vector"]] = "vector"
    classifies: ClassVar[bool] = True
    learns_classes: ClassVar[bool] = True
    rewards: ClassVar[bool] = True
    uncited: ClassVar[str] = "a small network of our own, trained here"
    uses: Literal["small-classifier"] = "small-classifier"

    dim: int = Field(64, ge=2)
    """Number of penultimate features."""
    steps: int = Field(300, ge=1)
    """Training steps."""
    batch: int = Field(128, ge=1)
    """Images per step."""
    lr: float = Field(2.0e-3, gt=0)
    """Learning rate of AdamW."""
    half: Literal["both", "even", "odd"] = "both"
    """Training rows that it learns from, by their number: a classifier that rewards and one that judges can have a half
    of the data each."""

    def pretrain(self, train: Material, test: Material, stream: str) -> Pretrained:
        """Train with labels; the card says how accurate it is on the test split."""
        import torch
        from torch.nn.functional import cross_entropy

        from reedbench.nn.adamw import AdamW
        from reedbench.nn.draws import integers, normal
        from reedbench.nn.initialisation import as_torch_does

        began = time.process_time()
        begin, stride = HALVES[self.half]
        images = torch.from_numpy(image.to_signed(train.rows.arrays["images"]))[begin::stride]
        labels = torch.from_numpy(image.classes_of(train.rows))[begin::stride]
        network = self._network(images.shape, int(labels.max()) + 1)
        as_torch_does(network, lambda name: seeds.stream(stream, "init", name))
        optimiser = AdamW(network.parameters(), lr=self.lr, weight_decay=0.01)
        draws = seeds.stream(stream, "batches")
        with Track(stream, self.steps) as track:
            for step in range(self.steps):
                chosen = integers(draws, len(images), self.batch)
                noisy = images[chosen] + NOISE * normal(draws, *images[chosen].shape)
                loss = cross_entropy(network(noisy), labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                track.update(step + 1, loss=loss.item())
        weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        raw = self._run({**weights, "scale": np.ones(1, np.float32)}, train.rows, features=True)
        weights["scale"] = np.sqrt(np.square(raw).mean(keepdims=True)).reshape(1)
        correct = self.classify(weights, test) == image.classes_of(test.rows)
        card = {
            "objective": "cross-entropy on the training split",
            "test_accuracy": round(float(correct.mean()), 4),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        return Pretrained(weights, card)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, dim) float32 penultimate features, of mean square 1 over the training split.

        One common factor changes no comparison under the Frechet distance, and keeps the cubic kernel distance sane.
        """
        features: np.ndarray = self._run(weights, material.rows, features=True)
        return features

    def classes(self, rows: Rows) -> np.ndarray:
        """The labels."""
        return image.classes_of(rows)

    def classify(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n,) int64 predicted classes."""
        predicted: np.ndarray = self._run(weights, material.rows, features=False).argmax(1)
        return predicted

    def log_probabilities(self, weights: Mapping[str, np.ndarray], material: Material) -> np.ndarray:
        """(n, classes)."""
        from scipy.special import log_softmax

        found: np.ndarray = log_softmax(self._run(weights, material.rows, features=False), axis=1)
        return found

    def _network(self, shape: Any, classes: int) -> Any:
        from reedbench.nn.small_images import Classifier

        return Classifier(shape[1], shape[2], self.dim, classes)

    def _run(self, weights: Mapping[str, np.ndarray], rows: Rows, *, features: bool) -> np.ndarray:
        import torch

        images = torch.from_numpy(image.to_signed(rows.arrays["images"]))
        network = self._network(images.shape, len(weights["head.bias"]))
        network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items() if name != "scale"})
        scale = float(weights["scale"][0])
        with torch.no_grad():
            parts = [network.features(p) / scale if features else network(p) for p in images.split(512)]
        result: np.ndarray = torch.cat(parts).numpy()
        return result
