"""Metrics of a third of the classes are those of the samples and reference data of these classes alone."""

import numpy as np
import pytest
from pydantic import ValidationError

from reedbench.core import plugins
from reedbench.core.errors import MetricError
from reedbench.metrics import Features

METRICS = plugins.discover("metrics")
THIRDS = {"head": range(4), "medium": range(4, 7), "tail": range(7, 10)}


def made(rows: int, seed: int, *, labels: bool = True) -> Features:
    stream = np.random.default_rng(seed)
    own = np.arange(rows) % 10
    return Features(
        stream.standard_normal((rows, 3)) + own[:, None] / 5,
        own if labels else None,
        np.where(stream.random(rows) < 0.8, own, 0) if labels else None,
    )


@pytest.mark.parametrize("name", ["fd", "kd", "precision", "recall", "accuracy"])
@pytest.mark.parametrize("third", THIRDS)
def test_a_third_is_the_metric_on_the_rows_of_its_classes(name, third):
    generated, reference = made(200, 1), made(300, 2)
    own = [data.take(np.flatnonzero(np.isin(data.labels, THIRDS[third]))) for data in (generated, reference)]
    expected = METRICS[name](extractor="clf").checked(*own)
    metric = METRICS[name](extractor="clf", classes=third)
    assert metric.checked(generated, reference) == expected
    assert metric.family == f"{name}@clf+classes={third}"
    assert metric.id(200) == f"{name}@clf+classes={third}.v{metric.version}-n200"
    assert f"{third} classes" in metric.heading


def test_ids_and_protocols_of_all_classes_stay():
    metric = METRICS["fd"](extractor="clf")
    assert metric.id(7) == "fd@clf.v1-n7"
    assert metric.protocol() == {"uses": "fd", "extractor": "clf"}


def test_without_classes_there_is_no_third():
    with pytest.raises(MetricError, match="says nothing about classes"):
        METRICS["fd"](extractor="x", classes="tail").checked(made(50, 1, labels=False), made(50, 2))


def test_a_reference_for_all_classes_is_refused_for_a_third():
    with pytest.raises(ValidationError, match="reference is for all classes, and classes is tail"):
        METRICS["recall"](extractor="clf", classes="tail", reference=100)
