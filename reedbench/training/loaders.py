"""Training rows in the backbone's space, batch by batch, with their representations."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from reedbench.codecs import AbstractCodec
from reedbench.core import shards
from reedbench.core.errors import MissingArtefact
from reedbench.core.parts import BYTES
from reedbench.core.ragged import Ragged
from reedbench.domains import rows
from reedbench.encoders import Online
from reedbench.nn.learner import PARTNERS, POOL, Batch, Streams
from reedbench.training.pool import PairedPool, Pool

RESIDENT = 4 * BYTES
"""Of a training split that is held in memory, and of an encoder's representations that may stay in it once they were
read; of larger ones only what a batch asks for is there."""
IMAGES = "images"  # of rows, in a batch, for encoders that are asked in every step
PAIRS = "pairs"  # kind of a representation with one entry per pair of a datum's entries


class TrainingData:
    """The training split in the backbone's space, and the representations of the same rows.

    Args:
        data: folder of the dataset.
        representations: their folders, by encoder.
        codec: what makes batches of rows.
        latents: folder of the rows as the codec keeps them, if it does.
        online: encoders that make their representations in every step, of the rows' images.
        pool: samples that the loss sets against the rows.

    Raises:
        MissingArtefact: latents or representations were made for other rows, or for another order of them.
    """

    def __init__(
        self,
        data: Path | str,
        representations: Mapping[str, Path | str],
        codec: AbstractCodec,
        latents: Path | str | None = None,
        online: Mapping[str, Online] = MappingProxyType({}),
        pool: Pool | PairedPool | None = None,
    ) -> None:
        self.pool = pool
        self.facts = rows.index(data)
        stored = self.images = rows.read(data, rows.TRAIN)
        self.online = dict(online)
        if latents is not None:
            stored = rows.of_shards(latents, stored.ids, rows.TRAIN)
            self._check_rows(latents, rows.index(latents), data, len(stored.arrays.store))
        self.rows = stored if stored.sizes().sum() > RESIDENT else stored.take(range(len(stored)))
        self.codec, self.size = codec, len(stored)
        self.lengths = stored.lengths(codec.lengths_of) if codec.lengths_of else None
        self.stores = {name: shards.Shards(Path(folder) / "shards") for name, folder in representations.items()}
        self.large = {name for name, store in self.stores.items() if store.sizes().sum() > RESIDENT}
        indices = {name: rows.index(folder) for name, folder in representations.items()}
        self.kinds = {name: index.get("kind") for name, index in indices.items()}
        for name, folder in representations.items():
            self._check_rows(folder, indices[name], data, len(self.stores[name]))

    def _check_rows(self, folder: Path | str, index: Mapping[str, Any], data: Path | str, there: int) -> None:
        if index["train_ids"] != self.facts["train_ids"] or there != self.facts["splits"][rows.TRAIN]:
            raise MissingArtefact(
                f"{folder}: was made of other rows than {data} holds; rerun: snakemake -f {folder}/index.json"
            )

    def shape(self) -> tuple[int, ...]:
        """Shape of one datum in the backbone's space."""
        return self.codec.shape(self.facts)

    def target_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one representation per encoder; -1 where it is as long as the datum."""
        shapes = {name: store.shape("representation") for name, store in self.stores.items()}
        kept = {name: (-1, *shape) if self.kinds[name] == PAIRS else shape for name, shape in shapes.items()}
        return kept | {name: one.shape for name, one in self.online.items()}

    def batch(self, chosen: np.ndarray, batch: np.ndarray) -> Batch:
        """Some rows of a batch without their representations, padded like it."""
        return self.codec.batch(self.rows.take(chosen).arrays, self._longest(batch))

    def drawn(self, chosen: np.ndarray, batch: np.ndarray, streams: Streams) -> Batch:
        """The same rows with what is drawn anew in every step: by the codec, and for each row one of a pool."""
        found = self.codec.drawn(self.batch(chosen, batch), streams)
        return found if self.pool is None else {**found, POOL: self.pool.drawn(chosen, found, streams)}

    def targets(
        self,
        chosen: np.ndarray,
        batch: np.ndarray,
        partners: torch.Tensor | None = None,
        names: Collection[str] | None = None,
    ) -> Batch:
        """Representations of some rows of a batch, padded like it: large, so that a rank reads its own alone.

        Beside those that are kept the rows' `images`, where there are encoders that have yet to see them.

        Args:
            chosen: the rows.
            batch: all rows of the batch.
            partners: (rows, entries, k); of pairs, those of each entry with these are read.
            names: encoders whose representations are read; None: all.
        """
        found = {}
        for name, kind in self.kinds.items():
            if names is not None and name not in names:
                continue
            read = self._pairs(name, chosen, partners) if kind == PAIRS else self._padded(name, chosen, batch)
            found[f"target/{name}"] = torch.from_numpy(read)
            if name in self.large:
                self.stores[name].release()
        if self._asked(names):
            found[IMAGES] = self._images(chosen)
        return found

    def seen(self, batch: Batch, names: Collection[str] | None = None) -> Batch:
        """A batch on its device with the representations that its `images` are there for, and without these."""
        if IMAGES not in batch:
            return batch
        images, others = batch[IMAGES], {name: tensor for name, tensor in batch.items() if name != IMAGES}
        with torch.no_grad():
            return others | {f"target/{name}": _in_turn(one, images) for name, one in self._asked(names).items()}

    def _asked(self, names: Collection[str] | None) -> dict[str, Online]:
        return {name: one for name, one in self.online.items() if names is None or name in names}

    def _images(self, chosen: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self.images.take(chosen).arrays["images"])

    def _longest(self, batch: np.ndarray) -> int | None:
        """Entries of the longest row of a batch, of data that have different lengths."""
        return None if self.lengths is None else int(self.lengths[batch].max())

    def _padded(self, name: str, chosen: np.ndarray, batch: np.ndarray) -> np.ndarray:
        read: Any = self.stores[name].read("representation", chosen)
        if isinstance(read, Ragged):
            longest = self._longest(batch)
            assert longest is not None, "rows of different lengths come with a codec that knows them"
            read = read.padded(longest)
        return np.asarray(read)

    def _pairs(self, name: str, chosen: np.ndarray, partners: torch.Tensor | None) -> np.ndarray:
        """(rows, entries, k, dim), zero beyond each datum; the other pairs, most of them, stay in the file."""
        if partners is None:
            raise ValueError(
                f"{name} is a representation of pairs: the objective's `draw` must say which, `{PARTNERS}`"
            )
        store = self.stores[name]
        out = np.zeros((*partners.shape, store.shape("representation")[-1]), np.float16)
        for row, near, full in zip(chosen, partners.numpy(), out, strict=True):
            pairs = store.row("representation", int(row))
            side = math.isqrt(len(pairs))
            first, second = np.nonzero(near[:side] < side)
            full[first, second] = pairs[first * side + near[first, second]]
        return out


def _in_turn(online: Online, images: torch.Tensor) -> torch.Tensor:
    """Representations of all images of a rank, made of as many at once as the encoder takes."""
    return torch.cat([online.encode(some) for some in images.split(online.at_once)])
