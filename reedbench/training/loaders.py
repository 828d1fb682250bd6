"""Training rows: the order in which they come, and batches with their representations.

The order is a function of benchmark, seed and step alone, so that every method sees the same rows and any number of
ranks draws the same global batch.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from reedbench.codecs import AbstractCodec
from reedbench.core import seeds, shards
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.nn.learner import Batch


class DataOrder:
    """Rows of step s: positions s*batch .. (s+1)*batch of an endless chain of shuffled epochs."""

    def __init__(self, size: int, batch: int, benchmark: str, seed: int) -> None:
        self.size, self.batch, self.benchmark, self.seed = size, batch, benchmark, seed
        self.epochs: dict[int, np.ndarray] = {}

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of the global batch of a step (0 is the first)."""
        positions = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = positions // self.size
        return np.concatenate([self._epoch(e)[positions[epochs == e] % self.size] for e in np.unique(epochs)])

    def _epoch(self, epoch: int) -> np.ndarray:
        if epoch not in self.epochs:
            self.epochs = {e: order for e, order in self.epochs.items() if e >= epoch - 1}  # two are enough
            self.epochs[epoch] = seeds.numpy_stream("order", self.benchmark, self.seed, epoch).permutation(self.size)
        return self.epochs[epoch]


class TrainingData:
    """The training split in the backbone's space, and the representations of the same rows.

    Raises:
        MissingArtefact: representations were made for other rows, or for another order of them.
    """

    def __init__(self, data: Path | str, representations: Mapping[str, Path | str], codec: AbstractCodec) -> None:
        self.facts = rows.index(data)
        train = rows.read(data, rows.TRAIN)
        self.codec, self.arrays, self.size = codec, train.arrays, len(train)
        self.labels = torch.from_numpy(train.arrays["labels"].astype(np.int64))
        self.stores = {name: shards.Shards(Path(folder) / "shards") for name, folder in representations.items()}
        for name, folder in representations.items():
            if rows.index(folder)["train_ids"] != self.facts["train_ids"] or len(self.stores[name]) != self.size:
                raise MissingArtefact(
                    f"{folder}: represents other rows than {data} holds; rerun: snakemake -f {folder}/index.json"
                )

    def shape(self) -> tuple[int, ...]:
        """Shape of one latent."""
        return self.codec.shape(tuple(self.facts["shapes"]["images"]))

    def target_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one representation per encoder."""
        return {name: store.shape("representation") for name, store in self.stores.items()}

    def batch(self, chosen: np.ndarray) -> Batch:
        """Latents and labels of some rows: what every rank looks at."""
        return {
            "x_1": torch.from_numpy(self.codec.encode(self.arrays["images"][chosen])),
            "labels": self.labels[torch.from_numpy(chosen)],
        }

    def targets(self, chosen: np.ndarray) -> Batch:
        """Representations of some rows: large, so that a rank reads its own alone."""
        read = {name: store.read("representation", chosen) for name, store in self.stores.items()}
        return {f"target/{name}": torch.from_numpy(target.astype(np.float32)) for name, target in read.items()}
