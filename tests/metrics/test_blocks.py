"""Metrics of many rows, in blocks, are those of few rows at once, up to the last digits."""

from typing import Any

import numpy as np
import pytest

from reedbench.core import archives
from reedbench.core.errors import MetricError
from reedbench.metrics import Features, _blocks
from reedbench.metrics.copying import Copying
from reedbench.metrics.fd import FrechetDistance
from reedbench.metrics.kd import KernelDistance
from reedbench.metrics.precision import Precision
from reedbench.metrics.recall import Recall

DIM = 30  # more than 25: there torch's distances come from products


@pytest.fixture
def pair(tmp_path) -> tuple[Features, Features]:
    """Samples in memory, some of them copies, and a reference that is a map of a file."""
    draws = np.random.default_rng(0)
    reference = draws.standard_normal((400, DIM))
    generated = np.concatenate([1.2 * draws.standard_normal((250, DIM)), reference[:50] + 1e-3])
    np.save(tmp_path / "reference.npy", reference)
    return Features(generated), Features(np.load(tmp_path / "reference.npy", mmap_mode="r"))


METRICS = [
    (Precision, {}), (Precision, {"neighbours": 7}), (Precision, {"reference": 100}), (Recall, {}),
    (Recall, {"reference": 100}), (Copying, {}), (FrechetDistance, {}),
]  # fmt: skip


@pytest.mark.parametrize(("metric", "settings"), METRICS)
def test_blocks_change_nothing_but_the_last_digits(metric, settings, pair, monkeypatch):
    asked = metric(extractor="eye", **settings)
    at_once = asked.checked(*pair)
    assert at_once > 0
    monkeypatch.setattr(_blocks, "FEW", 1)
    monkeypatch.setattr(archives, "PASS", 64 * DIM * 8)
    monkeypatch.setitem(_blocks.ROWS, "cpu", 64)
    in_blocks = asked.checked(*(Features(data.features) for data in pair))
    assert in_blocks == pytest.approx(at_once, rel=1e-7)  # torch-fidelity's shares are float32


@pytest.mark.parametrize(("metric", "settings"), [*METRICS, (KernelDistance, {"subset_size": 50, "subsets": 2})])
def test_halves_of_a_map_stay_in_the_file_and_score_as_those_in_memory(metric, settings, pair, monkeypatch):
    reference, order = pair[1], np.random.default_rng(1).permutation(400)
    mapped = [reference.take(order[:200]), reference.take(order[200:])]
    assert all(isinstance(half.features, archives.Chosen) for half in mapped)
    copies = [Features(np.array(reference.features)[half]) for half in (order[:200], order[200:])]
    asked = metric(extractor="eye", **settings)
    assert asked.checked(*mapped) == asked.checked(*copies)
    monkeypatch.setattr(_blocks, "FEW", 1)
    monkeypatch.setattr(archives, "PASS", 64 * DIM * 8)
    assert asked.checked(*mapped) == asked.checked(*copies)


def test_the_kernel_distance_is_that_of_torch_fidelity(pair):
    import torch
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    tensors = [torch.from_numpy(np.array(data.features)) for data in pair]
    expected = kid_features_to_metric(*tensors, kid_subsets=3, kid_subset_size=90, verbose=False)
    got = KernelDistance(extractor="eye", subsets=3, subset_size=90).checked(*pair)
    assert got == expected[KEY_METRIC_KID_MEAN]


def test_no_block_of_many_rows_is_large(monkeypatch):
    """2,000 rows: all distances at once would be 32 MB; what is asked of torch stays below a block."""
    import torch

    largest, cdist = [], torch.cdist

    def measured(one: Any, other: Any) -> Any:
        largest.append(len(one) * len(other))
        return cdist(one, other)

    monkeypatch.setattr(torch, "cdist", measured)
    monkeypatch.setattr(_blocks, "FEW", 1)
    monkeypatch.setitem(_blocks.ROWS, "cpu", 256)
    data = Features(np.random.default_rng(0).standard_normal((2000, 3)))
    for metric in (Precision, Recall, Copying):
        metric(extractor="eye").checked(data, Features(data.features[:500]))
    assert max(largest) == 256 * 256


def test_a_subset_of_the_reference_is_in_the_id_and_the_protocol(pair):
    whole, some = Precision(extractor="eye"), Precision(extractor="eye", reference=100)
    assert whole.id(300) == "precision@eye.v1-n300"
    assert some.id(300) == "precision@eye+reference=100.v1-n300-r100"
    assert some.id(200, reference=200) == "precision@eye+reference=100.v1-n200-r100"  # halves of real data
    assert some.id(60, reference=60) == "precision@eye+reference=100.v1-n60-r60"
    assert (whole.compared_with(400), some.compared_with(400)) == (400, 100)
    assert "reference" not in whole.protocol()
    assert some.protocol()["reference"] == 100
    chosen = some.compared(pair[1]).features
    assert len(np.unique(chosen, axis=0)) == 100
    np.testing.assert_array_equal(chosen, some.compared(Features(pair[1].features)).features)


def test_more_rows_of_the_reference_than_there_are_is_an_error(pair):
    class Evidence:
        def features(self, extractor: str) -> tuple[Features, Features]:
            return pair

    with pytest.raises(MetricError, match="reference asks for 500 rows to compare with, there are 400"):
        Recall(extractor="eye", reference=500).measured(Evidence())
