"""Chains as networks take them."""

import numpy as np
import torch

from reedbench.core.ragged import Ragged
from reedbench.domains.protein import padded


def test_padded_chains():
    coordinates = [np.ones((2, 4, 3), np.float32), np.ones((3, 4, 3), np.float32)]
    coordinates[1][1, 3] = np.nan
    arrays = {
        "coordinates": Ragged.of(coordinates),
        "tokens": Ragged.of([np.array([4, 5], np.uint8), np.array([1, 2, 3], np.uint8)]),
        "chain": Ragged.of([np.array([1, 1], np.uint8), np.array([1, 1, 2], np.uint8)]),
    }
    found = padded(arrays)
    assert found["tokens"].tolist() == [[4, 5, 0], [1, 2, 3]]
    assert found["chain"].tolist() == [[1, 1, 0], [1, 1, 2]]
    assert found["residue_index"].tolist() == [[0, 1, -100], [0, 1, 102]]
    assert found["mask"].tolist() == [[1, 1, 0], [1, 0, 1]]
    assert found["coordinates"].shape == (2, 3, 4, 3)
    assert found["coordinates"].isfinite().all()
    assert [found[name].dtype for name in ("coordinates", "mask", "tokens")] == [
        torch.float32, torch.float32, torch.int64,
    ]  # fmt: skip
