"""The order in which training rows come: a function of dataset, seed and step alone.

So every method sees the same rows, and any number of ranks draws the same global batch.
"""

from abc import ABC, abstractmethod

import numpy as np

from reedbench.core import seeds
from reedbench.core.errors import ConfigError


class Order(ABC):
    """Which rows a step has, and how much work they are."""

    @abstractmethod
    def rows(self, step: int) -> np.ndarray:
        """Row numbers of the global batch of a step (0 is the first)."""

    @abstractmethod
    def seen(self, steps: int) -> int:
        """Rows in the first `steps` batches."""

    @abstractmethod
    def entries(self, step: int) -> int:
        """Size of the padded batch of a step: what a pass over it costs is proportional to it."""

    @property
    @abstractmethod
    def least(self) -> int:
        """Rows in the smallest batch."""


class RowOrder(Order):
    """Rows of step s: positions s*batch .. (s+1)*batch of an endless chain of shuffled epochs."""

    def __init__(self, size: int, batch: int, dataset: str, seed: int) -> None:
        self.size, self.batch, self.dataset, self.seed = size, batch, dataset, seed
        self.epochs: dict[int, np.ndarray] = {}

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of the global batch of a step (0 is the first)."""
        positions = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = positions // self.size
        return np.concatenate([self._epoch(e)[positions[epochs == e] % self.size] for e in np.unique(epochs)])

    def seen(self, steps: int) -> int:
        """Rows in the first `steps` batches."""
        return steps * self.batch

    def entries(self, step: int) -> int:
        """Its rows."""
        return self.batch

    @property
    def least(self) -> int:
        """All batches have the same size."""
        return self.batch

    def _epoch(self, epoch: int) -> np.ndarray:
        known = self.epochs  # another thread may be at the next epoch
        if epoch not in known:
            order = seeds.stream("order", self.dataset, self.seed, epoch).permutation(self.size)
            self.epochs = known = {**{e: known[e] for e in known if e >= epoch - 1}, epoch: order}  # two are enough
        return known[epoch]


class PackedOrder(Order):
    """Rows of like length packed into batches of at most `tokens` entries, padding included; every epoch has all rows.

    The batches of an epoch come in a shuffled order, and which of several rows of one length go together is drawn
    anew in every epoch. Their number and sizes are the same in all epochs, since packing looks at lengths alone. The
    last batch, of the longest rows, shares with the one before it: what is left over may be a single row, which several
    ranks could not divide. The reference loses the row that does not fit (REED protein/fmif/utils.py:66-78 @0a4527e);
    here it opens the next batch.

    Raises:
        ConfigError: a row is longer than a batch.
    """

    def __init__(self, lengths: np.ndarray, tokens: int, dataset: str, seed: int) -> None:
        self.lengths, self.dataset, self.seed = np.asarray(lengths, np.int64), dataset, seed
        if self.lengths.max() > tokens:
            raise ConfigError(
                f"{dataset}: train.tokens {tokens} is less than the longest row has ({self.lengths.max()} entries)"
            )
        self.bounds = _packed(np.sort(self.lengths), tokens)
        self.sizes = np.diff(self.bounds)
        self.epoch: tuple[int, list[np.ndarray]] = (-1, [])

    def rows(self, step: int) -> np.ndarray:
        """Row numbers of the global batch of a step, the shortest first."""
        epoch, place = divmod(step, len(self.sizes))
        return self._batches(epoch)[place]

    def seen(self, steps: int) -> int:
        """Rows in the first `steps` batches."""
        epochs, rest = divmod(steps, len(self.sizes))
        begun = self._batches(epochs)[:rest] if rest else []
        return epochs * len(self.lengths) + sum(len(batch) for batch in begun)

    def entries(self, step: int) -> int:
        """Rows of a batch times its longest."""
        rows = self.rows(step)
        return int(len(rows) * self.lengths[rows].max())

    @property
    def least(self) -> int:
        """Rows in the smallest batch."""
        return int(self.sizes.min())

    def _batches(self, epoch: int) -> list[np.ndarray]:
        known, batches = self.epoch  # another thread may be at the next epoch
        if known != epoch:
            stream = seeds.stream("order", self.dataset, self.seed, epoch)
            shuffled = stream.permutation(len(self.lengths))
            by_length = shuffled[np.argsort(self.lengths[shuffled], kind="stable")]
            packs = np.split(by_length, self.bounds[1:-1])
            batches = [packs[i] for i in stream.permutation(len(packs))]
            self.epoch = epoch, batches
        return batches


def _packed(lengths: np.ndarray, tokens: int) -> np.ndarray:
    """Where batches begin and end among ascending lengths, each as large as `tokens` allow."""
    bounds = [0]
    for i, length in enumerate(lengths):
        if (i + 1 - bounds[-1]) * length > tokens:
            bounds.append(i)
    if len(bounds) > 1:
        together = len(lengths) - bounds[-2]
        bounds[-1] = len(lengths) - max(len(lengths) - bounds[-1], min(together // 2, int(tokens // lengths[-1])))
    return np.array([*bounds, len(lengths)])
