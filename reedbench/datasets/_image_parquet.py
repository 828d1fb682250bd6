"""Images in parquet files as the `datasets` library of Hugging Face writes them: `train-00000-of-00294.parquet`, ...

Columns are `image` (a struct of `bytes` and `path`) and `label`. Listing reads footers, paths, and labels where no file
names the classes; images are read by row groups.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reedbench.core.errors import ConfigError
from reedbench.datasets import _images
from reedbench.domains.image_files import BadImage

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 64  # images that are in memory together
LISTED = 1 << 16  # paths or labels, likewise


class Parquet(_images.Source):
    """The rows of all files of a split, in their order.

    Raises:
        ConfigError: a file is damaged, has other columns than needed, or other columns or classes than the first.
    """

    layout = "parquet"

    def __init__(self, where: Path, split: str) -> None:
        """Read the footers."""
        self.where, self._files = where, files(where, split)
        self._groups: list[tuple[Path, int, int]] = []  # file, number of a row group, row of the file where it begins
        sizes, schema = [0], _footer(self._files[0])[0]
        for file in self._files:
            own, groups = _footer(file)
            _check_alike((self._files[0], schema), (file, own))
            begins = np.cumsum([0, *groups]).tolist()
            self._groups += [(file, number, begins[number]) for number in range(len(groups))]
            sizes += groups
        self._starts = np.cumsum(sizes)
        self._has_paths = schema.field("image").type.get_field_index("path") >= 0
        self.class_names = _class_names(schema)
        self.classes = len(self.class_names) if self.class_names else self._counted()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def names(self) -> Iterator[str]:
        """The paths that the files give, or file and row."""
        listed = (value["image"] for value in self._listed("image.path")) if self._has_paths else repeat(None)
        for number in range(len(self._groups)):
            for row in self._rows(number):
                yield self._name(number, row, next(listed))

    def read(self, begin: int, stop: int) -> Iterator[_images.Entry]:
        """The row groups that hold them, a few rows at a time."""
        for number in range(int(np.searchsorted(self._starts, begin, side="right")) - 1, len(self._groups)):
            if self._starts[number] >= stop:
                return
            for row, value in zip(self._rows(number), self._values(number, "image", "label"), strict=True):
                if begin <= row < stop:
                    yield self._entry(self._name(number, row, value["image"]), value)

    def digest(self) -> str:
        """Of names and sizes of the files."""
        return _images.digest(f"{file.name} {file.stat().st_size}" for file in self._files)

    def _rows(self, number: int) -> range:
        return range(int(self._starts[number]), int(self._starts[number + 1]))

    def _values(self, number: int, *columns: str) -> Iterator[dict[str, Any]]:
        """Columns of a row group, row by row."""
        file, group, _ = self._groups[number]
        return _read(file, f"row group {group}", BATCH, [group], list(columns))

    def _listed(self, column: str) -> Iterator[dict[str, Any]]:
        """A small column of all files, row by row; each file is opened once, as a row group may have a hundred rows."""
        for file in self._files:
            yield from _read(file, f"column {column}", LISTED, None, [column])

    def _name(self, number: int, row: int, image: dict[str, Any] | None) -> str:
        file, _, begin = self._groups[number]
        return (image or {}).get("path") or f"{file.stem}/{begin + row - int(self._starts[number]):06d}"

    def _entry(self, name: str, value: dict[str, Any]) -> _images.Entry:
        label = value["label"]
        if label is None or not 0 <= label < self.classes:
            raise ConfigError(f"{self.where}: {name}: label {label} is not in 0..{self.classes - 1}")
        return _images.Entry(name, label, partial(_embedded, (value["image"] or {}).get("bytes")))

    def _counted(self) -> int:
        labels = (value["label"] for value in self._listed("label"))
        return max((label for label in labels if label is not None), default=-1) + 1


def files(folder: Path, split: str) -> list[Path]:
    """Parquet files of a split, `train` or `validation`, in a folder or in its folder `data`."""
    return sorted(folder.glob(f"{split}-*.parquet")) or sorted((folder / "data").glob(f"{split}-*.parquet"))


def _read(
    file: Path, what: str, rows: int, groups: Sequence[int] | None, columns: Sequence[str]
) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file, pre_buffer=False) as opened:
            for batch in opened.iter_batches(rows, groups, columns, use_threads=False):
                yield from batch.to_pylist()
    except (ArrowException, OSError) as error:
        raise ConfigError(f"{file}: {what} is damaged ({_line(error)}); fetch the file again") from error


def _footer(file: Path) -> "tuple[pa.Schema, list[int]]":
    """Columns, and rows by row group."""
    from pyarrow import ArrowException, types
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as opened:
            schema, footer = opened.schema_arrow, opened.metadata
    except (ArrowException, OSError) as error:
        raise ConfigError(f"{file}: not a whole parquet file ({_line(error)}); fetch it again") from error
    image = schema.field("image").type if "image" in schema.names else None
    if image is None or not types.is_struct(image) or image.get_field_index("bytes") < 0 or "label" not in schema.names:
        raise ConfigError(f"{file}: needs columns `image` (a struct with `bytes`) and `label`, has {schema.names}")
    if not types.is_integer(label := schema.field("label").type):
        raise ConfigError(f"{file}: column `label` has type {label}; labels must be integers, from 0 on")
    return schema, [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]


def _check_alike(first: "tuple[Path, pa.Schema]", other: "tuple[Path, pa.Schema]") -> None:
    columns, classes = ([of(schema) for _, schema in (first, other)] for of in (_columns, _class_names))
    if columns[0] != columns[1]:
        what = f"columns ({columns[0]} and {columns[1]})"
    elif classes[0] != classes[1]:
        what = "names of classes"
    else:
        return
    raise ConfigError(f"{first[0]} and {other[0]} have different {what}; all files of a split must be of one set")


def _columns(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _class_names(schema: "pa.Schema") -> list[str] | None:
    """By label, as the `datasets` library notes them in a file."""
    try:
        return list(json.loads(schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _embedded(raw: bytes | None) -> bytes:
    if raw is None:
        raise BadImage("has no bytes in the parquet file")
    return raw


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
