"""Metrics of features are torch-fidelity's to the last bit, without loading it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import from_numpy

from reedbench.core import plugins
from reedbench.metrics import Features


def made(rows: int, seed: int, dim: int = 6) -> Features:
    stream = np.random.default_rng(seed)
    return Features(stream.standard_normal((rows, dim)) @ stream.standard_normal((dim, dim)) + seed / 10)


def value(name: str, generated: Features, reference: Features, **settings) -> float:
    return plugins.discover("metrics")[name](extractor="eye", **settings).value(generated, reference)


CASES = [(made(120, 1), made(150, 2)), (made(40, 3, 30), made(35, 4, 30))]


@pytest.mark.parametrize(("generated", "reference"), CASES)
def test_frechet_distance(generated, reference):
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    theirs = (fid_features_to_statistics(from_numpy(data.features)) for data in (generated, reference))
    (expected,) = fid_statistics_to_metric(*theirs, verbose=False).values()
    assert value("fd", generated, reference) == expected


@pytest.mark.parametrize(("generated", "reference"), CASES)
@pytest.mark.parametrize("size", [30, 1000])
def test_kernel_distance(generated, reference, size):
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    tensors = (from_numpy(data.features) for data in (generated, reference))
    least = min(size, len(generated), len(reference))
    expected = kid_features_to_metric(*tensors, kid_subsets=5, kid_subset_size=least, verbose=False)
    assert value("kd", generated, reference, subsets=5, subset_size=size) == expected[KEY_METRIC_KID_MEAN]


@pytest.mark.parametrize(("generated", "reference"), CASES)
@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_and_recall(generated, reference, neighbours):
    from torch_fidelity.metric_prc import prc_features_to_metric

    tensors = (from_numpy(data.features) for data in (generated, reference))
    expected = prc_features_to_metric(*tensors, prc_neighborhood=neighbours, prc_batch_size=50, verbose=False)
    for name in ("precision", "recall"):
        assert value(name, generated, reference, neighbours=neighbours) == expected[name]


def test_scoring_loads_no_other_suite():
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_feature_metrics import CASES, value
for name in ("fd", "kd", "precision", "recall"):
    value(name, *CASES[0])
print(sorted({{"torch_fidelity", "torchvision", "torch._dynamo", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
