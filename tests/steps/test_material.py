"""Texts and data belong together by id, whatever the order of the file and whatever else stands in it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from reedbench.core import paths, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.encoders.caption_and_image import CaptionAndImage
from reedbench.steps.material import gather, others_of, remembering

IDS = ["c", "a", "d", "b", "t"]
SPLITS = ["train", "train", "train", "train", "test"]
ENCODER = CaptionAndImage(captioner="measured", image="eye", dim=2)


class Eye:
    """Shows the images themselves."""

    pretrained = False
    on_gpu = False
    model_fields: ClassVar[dict[str, object]] = {}

    def files(self) -> tuple[Path, ...]:
        return ()

    def parted(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        return {"features": vectors}

    def prepared(self, weights: object, material: Material, device: str) -> Callable[[Material], np.ndarray]:
        return lambda part: part.rows.arrays["images"].reshape(len(part.rows), -1).astype(np.float32)


class Suite:
    """A suite of two encoders, of which one reads the other."""

    def encoder(self, dataset: str, name: str) -> object:
        return {"caption": ENCODER, "eye": Eye()}[name]

    def read_by(self, dataset: str, name: str) -> dict[str, str]:
        return {"eye": "eye"}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four training rows and a test row, with captions in another order."""
    monkeypatch.setattr(provenance, "require", lambda path, key: None)
    for name in ("dataset", "captioner", "encoder"):
        monkeypatch.setattr(f"reedbench.schema.settings.{name}", lambda *of: {})
    with contextlib.chdir(tmp_path):
        images = np.arange(5, dtype=np.uint8).reshape(5, 1, 1, 1)
        rows.write(paths.data("d"), Rows(IDS, SPLITS, {"images": images}), {})
        file = Path(paths.captions("d", "measured"))
        file.parent.mkdir(parents=True)
        order = ["t", "b", "c", "d", "a"]
        parquet.write_table(pa.table({"id": order, "text": [f"text of {name}" for name in order]}), file)
        yield file


def test_captions_are_paired_with_rows_by_id(written):
    material, _ = gather(Suite(), "d", "caption", rows.TRAIN)
    assert list(material.rows.ids) == IDS[:4]
    assert list(material.captions) == [f"text of {name}" for name in IDS[:4]]
    assert list(gather(Suite(), "d", "caption", rows.TEST)[0].captions) == ["text of t"]


def test_a_part_of_the_material_keeps_rows_captions_and_representations_together(written):
    material, _ = gather(Suite(), "d", "caption", rows.TRAIN)
    part = material.take([3, 0])
    assert list(part.rows.ids) == ["b", "c"]
    assert part.captions == ["text of b", "text of c"]
    assert part.representations["eye"][:, 0].tolist() == part.rows.arrays["images"].reshape(-1).tolist() == [3, 0]


def test_a_row_without_a_caption_is_named(written):
    parquet.write_table(pa.table({"id": ["t", "b", "c", "a"], "text": ["x"] * 4}), written)
    with pytest.raises(MissingArtefact, match=r"no caption for d \(1 of 4 rows\); caption again"):
        gather(Suite(), "d", "caption", rows.TRAIN)


def test_rows_that_were_just_seen_are_not_seen_again():
    asked = []

    def encode(material: Material) -> np.ndarray:
        asked.append(list(material.rows.ids))
        return np.arange(len(material.rows))

    one, same_ids = (Rows(["a", "b"], ["train"] * 2, {}) for _ in range(2))
    seen = remembering(encode)
    for shown in (one, one, same_ids, one):
        np.testing.assert_array_equal(seen(Material(shown)), [0, 1])
    assert len(asked) == 3  # rows of the same names may be others, and only the last ones are remembered


def test_an_encoder_that_is_ready_serves_the_one_that_reads_it(written):
    images = Rows(["a"], ["train"], {"images": np.ones((1, 1, 1, 1), np.uint8)})
    ready = {"eye": lambda material: np.full((len(material.rows), 1), 7.0)}
    others, _ = others_of(Suite(), "data", "caption", images, "cpu", ready)  # type: ignore[arg-type]
    assert others["eye"](images).tolist() == [[7.0]]
