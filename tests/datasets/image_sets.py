"""Five images of noise as folders, zips and parquet files, and data sets of them."""

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from reedbench.core.errors import ConfigError
from reedbench.datasets.image_folder import ImageFolder

SIDE = 8


def image(seed: int, kind: str = "PNG") -> bytes:
    """24x20 of noise."""
    file = BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)).save(file, kind)
    return file.getvalue()


# Paths sorted as whole texts: "n01-b/..." comes before "n01/..." though n01 is the first class by name.
FILES = {
    "n01-b/0.png": image(0),
    "n01-b/1.JPEG": image(1, "JPEG"),
    "n01/deep/er/2.png": image(2),
    "n01/z.JPEG": image(3),  # a PNG, whatever it is called
    "n02/4.webp": image(4, "WEBP"),
}
LABELS = [1, 1, 0, 0, 2]
HELD_OUT = {"n02/v0.png": image(10), "n01/v1.png": image(11)}


def laid_out(folder: Path, files: Mapping[str, bytes] = FILES, **more: bytes) -> Path:
    for name, content in (*files.items(), *more.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("n01")
        for name in sorted(files, reverse=True):
            archive.writestr(name, files[name])
    return folder / "images.zip"


def in_parquet(folder: Path, files: Mapping[str, bytes] = FILES, split: str = "train", *, names=None, **change) -> Path:
    """Two files, the first of two row groups, as the `datasets` library writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    order, classes = sorted(files), ["n01", "n01-b", "n02"]
    columns = {
        "image": [{"bytes": files[name], "path": name} for name in order],
        "label": [classes.index(name.split("/")[0]) for name in order],
    }
    table = pa.table({**columns, **change})
    if names:
        note = {"info": {"features": {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(note)})
    for number, part in enumerate((table.slice(0, 3), table.slice(3))):
        parquet.write_table(part, folder / f"{split}-{number:05d}-of-00002.parquet", row_group_size=2)
    return folder


def dataset(path: Path, validation: Path | str = "", **settings: Any) -> ImageFolder:
    return ImageFolder(path=str(path), validation=str(validation), resolution=SIDE, **settings)


def said(made: ImageFolder) -> str:
    """The one line with which it is refused."""
    with pytest.raises(ConfigError) as error:
        made.rows()
    assert "\n" not in str(error.value)
    return str(error.value)
