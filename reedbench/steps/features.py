"""Data under an extractor, float64, as metrics want them."""

import numpy as np

from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.metrics import Features
from reedbench.schema.suite import Suite
from reedbench.steps.material import by_others, weights_of
from reedbench.steps.threads import pinned


def extract(suite: Suite, dataset: str, extractor: str, data: Rows) -> tuple[Features, list[str]]:
    """Features (one vector per row) and, from a classifier, predicted classes; and the files that were read."""
    encoder = suite.encoder(dataset, extractor)
    weights, inputs = weights_of(suite, dataset, extractor)
    representations, read = by_others(suite, dataset, extractor, data)
    material = Material(data, representations=representations)
    with pinned(encoder.threads):
        vectors = encoder.represent(weights, material)
        classes = (encoder.classes(data), encoder.classify(weights, material)) if encoder.classifies else (None, None)
    return Features(vectors.reshape(len(data), -1).astype(np.float64), *classes), inputs + read
