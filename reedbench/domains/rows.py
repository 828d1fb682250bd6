"""Rows of a dataset: ids, splits and named arrays, and their folder on disk (index.json, manifest.parquet, shards/).

Only the manifest (ids, splits, labels) is ever whole in memory; arrays are read for the rows that are asked for.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reedbench.core import archives, io, shards
from reedbench.core.errors import ConfigError, MissingArtefact
from reedbench.core.parts import BYTES, cuts
from reedbench.core.ragged import Ragged, Texts
from reedbench.core.staging import staged

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN, VALID, TEST = "train", "valid", "test"
SPARE = "spare"  # left out of training, and still in the reference
REFERENCE = "reference"  # what samples are compared with: the training split, and what was left out of it


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

    def chosen(self, rows: np.ndarray) -> "Rows":
        """The given rows, in that order; those on disk stay there."""
        return self.take(rows)

    def where(self, split: str) -> "Rows":
        """The rows of one split, in manifest order."""
        return self.take(np.flatnonzero(np.asarray(self.split) == split))

    def sizes(self) -> np.ndarray:
        """(n,) int64: bytes of every row."""
        return shards.row_bytes(self.arrays)

    def lengths(self, of: str | None = None) -> np.ndarray:
        """(n,) int64: entries of every row, 1 where all rows have the same number.

        Args:
            of: the array whose entries are meant, where there are several kinds of them; else any that differs by row.
        """
        ragged = (x.lengths for name, x in self.arrays.items() if isinstance(x, Ragged) and of in (None, name))
        return next(ragged, np.ones(len(self), np.int64))

    def cuts(self, limit: int = BYTES) -> list[slice]:
        """Consecutive parts of which none holds much."""
        return cuts(self.sizes().tolist(), limit, shards.ROWS_PER_SHARD)

    def release(self) -> None:
        """Let go of the memory that was read through maps of files; it is read again when it is needed."""
        for array in self.arrays.values():
            archives.release(array)


class StoredRows(Rows):
    """Rows that stay on disk: `take` reads those that it is asked for, and `arrays[name]` reads all of one array."""

    arrays: "_Stored"

    def take(self, rows: Any) -> Rows:
        """The given rows, in that order, in memory."""
        ids, split = ([of[i] for i in rows] for of in (self.ids, self.split))
        return Rows(ids, split, self.arrays.read(np.asarray(rows, np.int64)))

    def chosen(self, rows: np.ndarray) -> "StoredRows":
        """The given rows, in that order, still on disk."""
        ids, split = ([of[i] for i in rows] for of in (self.ids, self.split))
        return StoredRows(ids, split, _Stored(self.arrays.store, self.arrays.places[rows]))

    def sizes(self) -> np.ndarray:
        """(n,) int64: bytes of every row."""
        return self.arrays.store.sizes().take(self.arrays.places)

    def release(self) -> None:
        """Nothing: `take` lets go of what it read."""

    def lengths(self, of: str | None = None) -> np.ndarray:
        """(n,) int64: entries of every row, 1 where all rows have the same number; `of` as in `Rows.lengths`."""
        store = self.arrays.store
        ragged = next((name for name in store.names if -1 in store.shape(name) and of in (None, name)), None)
        return np.ones(len(self), np.int64) if ragged is None else store.lengths(ragged).take(self.arrays.places)


class _Stored(Mapping[str, Any]):
    """Arrays of some rows of a store."""

    def __init__(self, store: shards.Shards, places: np.ndarray) -> None:
        self.store, self.places = store, places

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return self._read([name], self.places)[name]

    def __contains__(self, name: object) -> bool:
        return name in self.store.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.store.names)

    def __len__(self) -> int:
        return len(self.store.names)

    def read(self, rows: np.ndarray) -> dict[str, Any]:
        """Some of the rows."""
        return self._read(self.store.names, self.places[rows])

    def _read(self, names: Sequence[str], places: np.ndarray) -> dict[str, Any]:
        found = {name: self.store.read(name, places) for name in names}
        self.store.release()
        return found


def ids_digest(ids: Sequence[str]) -> str:
    """Names an ordered list of ids: representations are paired with data by it, never by position alone."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def write(folder: Path | str, rows: Rows, facts: Mapping[str, Any]) -> list[str]:
    """Write a dataset folder of rows that are in memory; the index comes last. Returns the outputs in that order.

    Raises:
        ConfigError: there is no training row, or two rows have the same id.
    """
    folder, pieces = Path(folder), [rows.take(range(cut.start, cut.stop)) for cut in rows.cuts()]
    table = _joined([manifest(piece) for piece in pieces])
    _check(folder.name, table)
    shards.write_parts(folder / "shards", (piece.arrays for piece in pieces))
    return _described(folder, table, facts)


def write_piece(shard: Path, listed: Path, rows: Rows) -> None:
    """Write one part of a dataset: its shard, and before it its part of the manifest."""
    from pyarrow import parquet

    with io.atomic(listed, shared=True) as part:
        parquet.write_table(manifest(rows), part)
    shards.write_part(shard, rows.arrays)


def of_pieces(pieces: Sequence[tuple[Path, Path]]) -> StoredRows:
    """Rows of parts (shard, manifest) as `write_piece` wrote them; their arrays stay on disk."""
    listed = _joined([io.read_table(file, ["id", "split"]) for _, file in pieces])
    store = shards.Shards.of(shard for shard, _ in pieces)
    ids, split = (listed[name].to_pylist() for name in ("id", "split"))
    return StoredRows(ids, split, _Stored(store, np.arange(len(store))))


def publish(folder: Path | str, pieces: Sequence[tuple[Path, Path]], facts: Mapping[str, Any]) -> list[str]:
    """Make a dataset folder of parts (shard, manifest) as `write_piece` wrote them; the shards get a second name.

    Returns what `write` does.

    Raises:
        ConfigError: there is no training row, two rows have the same id, or parts have different arrays.
    """
    folder = Path(folder)
    table = _joined([io.read_table(listed) for _, listed in pieces])
    _check(folder.name, table)
    with io.atomic_directory(folder / "shards") as whole:
        for number, (shard, _) in enumerate(pieces):
            io.link(shard, whole / f"shard-{number:05d}.safetensors")
        if unlike := shards.Shards(whole).unlike():
            raise ConfigError(f"{folder.name}: the dataset's parts differ: {unlike}; all need the same arrays")
    return _described(folder, table, facts)


def manifest(rows: Rows) -> "pa.Table":
    """Id, split, arrays of one number or text per row, and a digest of every row."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        name: pa.array(list(of), pa.string()) for name, of in (("id", rows.ids), ("split", rows.split))
    }
    for name, array in rows.arrays.items():
        if not isinstance(array, Ragged) and array.ndim == 1:
            columns["label" if name == "labels" else name] = array
        elif isinstance(array, Texts):
            columns[name] = pa.array(array.strings(), pa.string())
    columns["sha256"] = pa.array([_row_digest(rows, i) for i in range(len(rows))], pa.string())
    return pa.table(columns)


def _joined(tables: "Sequence[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    return pa.concat_tables(tables).combine_chunks()


def _check(name: str, table: "pa.Table") -> None:
    splits = _splits(table)
    if not splits.get(TRAIN):
        raise ConfigError(f"{name}: the dataset is empty: no row in split '{TRAIN}' (rows by split: {splits})")
    counts = table["id"].value_counts()
    if len(counts) < len(table):
        twice = next(one["values"] for one in counts.to_pylist() if one["counts"] > 1)
        raise ConfigError(f"{name}: two rows have the id '{twice}'; ids pair rows with their captions and more")


def _splits(table: "pa.Table") -> dict[str, int]:
    """Rows by split."""
    return dict(sorted((one["values"], one["counts"]) for one in table["split"].value_counts().to_pylist()))


def _described(folder: Path, table: "pa.Table", facts: Mapping[str, Any]) -> list[str]:
    """Write manifest and index of shards that are there."""
    from pyarrow import compute, parquet

    with io.atomic(folder / "manifest.parquet") as part:
        parquet.write_table(table, part)
    store = shards.Shards(staged(folder / "shards"))
    index = {
        "rows": len(table),
        "splits": _splits(table),
        "train_ids": ids_digest(table.filter(compute.equal(table["split"], TRAIN))["id"].to_pylist()),
        "shapes": {name: list(store.shape(name)) for name in store.names},
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


def read(folder: Path | str, split: str) -> StoredRows:
    """The rows of one split, or of the `REFERENCE`; their arrays stay on disk until they are asked for.

    Raises:
        MissingArtefact: a file is absent or damaged, or manifest and shards have different numbers of rows.
    """
    listed = io.read_table(Path(folder) / "manifest.parquet", ["id", "split"])
    store = shards.Shards(Path(folder) / "shards")
    if len(store) != (rows := len(listed)):
        raise MissingArtefact(f"{folder}: {len(store)} rows in the shards, {rows} in the manifest; prepare it again")
    of = listed["split"].combine_chunks().to_numpy(zero_copy_only=False)
    places = np.flatnonzero(np.asarray((of == TRAIN) | (of == SPARE) if split == REFERENCE else of == split))
    ids = listed["id"].take(places).to_pylist()
    return StoredRows(ids, [split] * len(ids), _Stored(store, places))


def of_parts(files: Iterable[Path], ids: Sequence[str], split: str, places: np.ndarray) -> StoredRows:
    """Rows of single shards; row i is that at `places[i]` of their concatenation. They stay on disk."""
    return StoredRows(list(ids), [split] * len(ids), _Stored(shards.Shards.of(files), places))


def of_shards(folder: Path | str, ids: Sequence[str], split: str) -> StoredRows:
    """Rows of a shard folder that was made of rows with these ids, in their order. They stay on disk."""
    store = shards.Shards(Path(folder) / "shards")
    return StoredRows(list(ids), [split] * len(ids), _Stored(store, np.arange(len(ids))))


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
