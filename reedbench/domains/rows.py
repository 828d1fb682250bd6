"""Rows of a dataset: ids, splits and named arrays, and their folder on disk (index.json, manifest.parquet, shards/)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io, shards
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.ragged import Ragged
from reedbench.core.staging import staged

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Rows:
    """Data of one dataset or split; row i of every array belongs to `ids[i]`.

    For images the arrays are `images` (n, channels, height, width) uint8 and `labels` (n,) int64; for proteins see
    `domains.protein`.
    """

    ids: Sequence[str]
    split: Sequence[str]
    arrays: Mapping[str, Any]  # np.ndarray, or Ragged where rows have different lengths

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Any) -> "Rows":
        """The given rows, in that order."""
        return Rows(
            [self.ids[i] for i in rows], [self.split[i] for i in rows], {k: v[rows] for k, v in self.arrays.items()}
        )

    def where(self, split: str) -> "Rows":
        """The rows of one split, in manifest order."""
        return self.take(np.flatnonzero(np.asarray(self.split) == split))


def ids_digest(ids: Sequence[str]) -> str:
    """Names an ordered list of ids: representations are paired with data by it, never by position alone."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def write(folder: Path | str, rows: Rows, facts: Mapping[str, Any]) -> list[str]:
    """Write a dataset folder; the index comes last. Returns the outputs in that order.

    Raises:
        ConfigError: there is no training row.
    """
    import pyarrow as pa
    from pyarrow import parquet

    folder = Path(folder)
    splits = {name: int(np.sum(np.asarray(rows.split) == name)) for name in sorted(set(rows.split))}
    if not splits.get(TRAIN):
        raise ConfigError(f"{folder.name}: the dataset is empty: no row in split '{TRAIN}' (rows by split: {splits})")
    shards.write(folder / "shards", rows.arrays)
    manifest: dict[str, Any] = {"id": list(rows.ids), "split": list(rows.split)}
    for name, array in rows.arrays.items():
        if not isinstance(array, Ragged) and array.ndim == 1:
            manifest["label" if name == "labels" else name] = array
    manifest["sha256"] = [_row_digest(rows, i) for i in range(len(rows))]
    with io.atomic(folder / "manifest.parquet") as part:
        parquet.write_table(pa.table(manifest), part)
    index = {
        "rows": len(rows),
        "splits": splits,
        "train_ids": ids_digest(rows.where(TRAIN).ids),
        "shapes": {name: list(array.shape[1:]) for name, array in rows.arrays.items()},
        "shards": io.sha256(staged(folder / "shards")),
        **facts,
    }
    io.write_json(folder / "index.json", index)
    return [str(folder / name) for name in ("shards", "manifest.parquet", "index.json")]


def index(folder: Path | str) -> dict[str, Any]:
    """The index of a dataset or representation folder.

    Raises:
        MissingArtefact: there is none, or it is damaged.
    """
    return io.read_object(Path(folder) / "index.json")


def read(folder: Path | str, split: str) -> Rows:
    """All rows of one split, in memory.

    Raises:
        MissingArtefact: a file is absent or damaged, or manifest and shards have different numbers of rows.
    """
    manifest = io.read_table(Path(folder) / "manifest.parquet", ["id", "split"]).to_pydict()
    keep = np.flatnonzero(np.asarray(manifest["split"]) == split)
    store = shards.Shards(Path(folder) / "shards")
    if len(store) != (rows := len(manifest["id"])):
        raise MissingArtefact(f"{folder}: {len(store)} rows in the shards, {rows} in the manifest; prepare it again")
    ids = [manifest["id"][i] for i in keep]
    return Rows(ids, [split] * len(ids), {name: store.read(name, keep) for name in store.names})


def first_of(folder: Path | str, split: str, labels: Sequence[int]) -> Rows:
    """For every label the first row of a split that has it, and the next one when it comes again; reads only these.

    Raises:
        MissingArtefact: a file is absent or damaged, or the split has no row of a label.
    """
    manifest = io.read_table(Path(folder) / "manifest.parquet", ["id", "split", "label"]).to_pydict()
    place: dict[int, list[int]] = {}
    for i, (own, label) in enumerate(zip(manifest["split"], manifest["label"], strict=True)):
        if own == split:
            place.setdefault(int(label), []).append(i)
    if absent := sorted(set(map(int, labels)) - place.keys()):
        raise MissingArtefact(f"{folder}: split '{split}' has no row of label {absent[0]}; prepare it again")
    used = dict.fromkeys(place, 0)
    keep = []
    for label in map(int, labels):
        keep.append(place[label][used[label] % len(place[label])])
        used[label] += 1
    store = shards.Shards(Path(folder) / "shards")
    return Rows([manifest["id"][i] for i in keep], [split] * len(keep), {n: store.read(n, keep) for n in store.names})


def _row_digest(rows: Rows, i: int) -> str:
    digest = hashlib.sha256()
    for name in sorted(rows.arrays):
        digest.update(np.ascontiguousarray(rows.arrays[name][i]).tobytes())
    return digest.hexdigest()[:16]
