"""Data under an extractor, float64, as metrics want them."""

from collections.abc import Callable

import numpy as np

from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.metrics import Features
from reedbench.schema.suite import Suite
from reedbench.steps.material import weights_of
from reedbench.steps.threads import pinned


def extract(suite: Suite, dataset: str, extractor: str, data: Rows) -> tuple[Features, list[str]]:
    """Features (one vector per row) and, from a classifier, predicted classes; and the files that were read."""
    seen, inputs = seen_by(suite, dataset, extractor, data)
    return seen(data), inputs


def seen_by(
    suite: Suite, dataset: str, extractor: str, data: Rows, device: str = "cpu"
) -> tuple[Callable[[Rows], Features], list[str]]:
    """An extractor made ready for some data, of which it takes any part; and the files that it read.

    On `cuda` compute those extractors that can.
    """
    encoder = suite.encoder(dataset, extractor)
    weights, inputs = weights_of(suite, dataset, extractor)
    with pinned(encoder.threads):
        encode = encoder.prepared(weights, Material(data), device if encoder.on_gpu else "cpu")

    def seen(part: Rows) -> Features:
        with pinned(encoder.threads):
            vectors = np.asarray(encode(Material(part)))
            classes = (encoder.classes(part), encoder.classify(weights, part)) if encoder.classifies else (None, None)
        return Features(vectors.reshape(len(part), -1).astype(np.float64), *classes)

    return seen, inputs
