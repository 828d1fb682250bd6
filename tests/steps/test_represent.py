"""Representations are written part by part: each value fits, and all parts are alike."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from reedbench.core.errors import ConfigError
from reedbench.core.ragged import Ragged
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Kind, Material
from reedbench.steps.represent import FEW_ROWS, _parts

ROWS = FEW_ROWS + 44


class Made(AbstractEncoder):
    """Gives every row two residues, and counts how often it was prepared and for how many rows."""

    domain: ClassVar[str] = "protein"
    kind: ClassVar[Kind] = "residues"
    uses: Literal["made"] = "made"
    largest: str = "1"
    widths: tuple[int, int] = (3, 3)

    def represent(self, weights: Mapping[str, np.ndarray], material: Material) -> Ragged:
        """Values of the last row are the largest."""
        count = len(material.rows)
        values = np.ones((2 * count, self.widths[count < FEW_ROWS]), np.float32)
        values[-2:] = float(self.largest)
        return Ragged(values, np.full(count, 2))


@pytest.fixture
def material() -> Material:
    return Material(Rows([f"r{i}" for i in range(ROWS)], ["train"] * ROWS, {"tokens": np.zeros((ROWS, 2), np.uint8)}))


def parts(encoder: AbstractEncoder, material: Material) -> list[Any]:
    return [part["representation"] for part in _parts(encoder, encoder.prepared({}, material), material)]


def test_a_large_representation_is_made_part_by_part(material):
    made = parts(Made(), material)
    assert [len(part) for part in made] == [FEW_ROWS, ROWS - FEW_ROWS]
    assert {part.dtype for part in made} == {np.dtype(np.float16)}


@pytest.mark.parametrize("largest", ["65600", "-1e9", "inf", "nan"])
def test_a_value_that_half_precision_cannot_hold_is_refused(material, largest):
    with pytest.raises(ConfigError, match="encoder made: row 'r255' has a value beyond 65504"):
        parts(Made(largest=largest), material)
    assert parts(Made(largest="65504"), material)[0].values.max() == 65504


def test_parts_of_different_shapes_are_refused(material):
    words = r"encoder made: gives rows of shape \(-1, 4\) from 'r256' on, and of \(-1, 3\) before"
    with pytest.raises(ConfigError, match=words):
        parts(Made(widths=(3, 4)), material)
