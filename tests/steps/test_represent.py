"""Representations are written part by part: each value fits, all parts are alike, and the cut follows the bytes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.core.parts import BYTES
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Kind, Material
from reedbench.steps import features
from reedbench.steps.represent import FEW_ROWS, Coded

ROWS = FEW_ROWS + 44


class Made(AbstractEncoder):
    """Gives every row two residues, and notes of how many rows it was asked for."""

    domain: ClassVar[str] = "protein"
    kind: ClassVar[Kind] = "residues"
    uses: Literal["made"] = "made"
    asked: ClassVar[list[int]] = []
    largest: str = "1"
    widths: tuple[int, int] = (3, 3)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> Ragged:
        """Values of the last row are the largest."""
        count = len(material.rows)
        self.asked.append(count)
        values = np.ones((2 * count, self.widths["r0" not in material.rows.ids]), np.float32)
        values[-2:] = float(self.largest)
        return Ragged(values, np.full(count, 2))


@pytest.fixture
def material() -> Material:
    tokens = Ragged(np.zeros(2 * ROWS, np.uint8), np.full(ROWS, 2))
    return Material(Rows([f"r{i}" for i in range(ROWS)], ["train"] * ROWS, {"tokens": tokens}))


def parts(encoder: AbstractEncoder, material: Material) -> list[Any]:
    coded = Coded(encoder, encoder.prepared({}, material), material)
    return [coded.part(number) for number in range(len(coded.parts))]


def test_a_large_representation_is_made_part_by_part(material):
    made = parts(Made(), material)
    assert [len(part) for part in made] == [FEW_ROWS, ROWS - FEW_ROWS]
    assert {part.dtype for part in made} == {np.dtype(np.float16)}


@pytest.mark.parametrize(("width", "size"), [(BYTES // 2 // 2 // 100, 100), (BYTES, 1)])
def test_a_part_holds_no_more_bytes_than_it_should(material, monkeypatch, width, size):
    monkeypatch.setattr(Made, "represent", lambda self, weights, some: few(len(some.rows), width))
    coded = Coded(Made(), Made().prepared({}, material), material)
    assert coded.rows == [size] * (ROWS // size)


def few(count: int, width: int) -> Ragged:
    """Of the first row alone: nobody asks for the others."""
    assert count == 1
    return Ragged(np.zeros((2, width), np.float32), np.full(1, 2))


def test_within_a_part_rows_are_encoded_pass_by_pass_and_come_out_the_same(material, monkeypatch):
    Made.asked.clear()
    whole = parts(Made(), material)
    assert Made.asked == [1, FEW_ROWS, ROWS - FEW_ROWS]
    Made.asked.clear()
    of_a_row = 2 + 2 * 3 * 2  # two tokens, and two residues in half precision
    monkeypatch.setattr(features, "PASS", 100 * of_a_row)
    passed = parts(Made(), material)
    assert Made.asked == [1, 100, 100, 56, 44]
    for one, other in zip(whole, passed, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.lengths, other.lengths)


@pytest.mark.parametrize("largest", ["65600", "-1e9", "inf", "nan"])
def test_a_value_that_half_precision_cannot_hold_is_refused(material, largest):
    with pytest.raises(ConfigError, match="encoder made: row 'r0' has a value beyond 65504"):
        parts(Made(largest=largest), material)
    assert parts(Made(largest="65504"), material)[0].values.max() == 65504


def test_parts_of_different_shapes_are_refused(material):
    words = r"encoder made: gives rows of shape \(-1, 4\) from 'r256' on, and of \(-1, 3\) before"
    with pytest.raises(ConfigError, match=words):
        parts(Made(widths=(3, 4)), material)
