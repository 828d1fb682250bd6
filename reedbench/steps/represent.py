"""represent: encode the training split -> results/representations/<dataset>/<encoder>/, or, for an extractor, take its
reference statistics -> results/statistics/<dataset>/<extractor>.npz."""

from argparse import Namespace

import numpy as np

from reedbench.core import io, paths, shards
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.metrics import Features
from reedbench.schema.suite import Suite
from reedbench.steps.features import extract
from reedbench.steps.flops import counted
from reedbench.steps.material import gather, weights_of


def represent(suite: Suite, arguments: Namespace) -> Made:
    """Only training rows are represented: an alignment target never sees the test split."""
    if arguments.extractor:
        return _statistics(suite, arguments.dataset, arguments.extractor)
    dataset, name = arguments.dataset, arguments.encoder
    encoder = suite.encoder(dataset, name)
    with counted() as count:  # gathering runs the encoders that this one reads
        material, inputs = gather(suite, dataset, encoder, rows.TRAIN)
        weights, read = weights_of(dataset, name, encoder)
        representation = encoder.represent(weights, material)
    out = paths.representation(dataset, name)
    shards.write(paths.shards(out), {"representation": representation.astype(np.float16)})
    index = {
        "encoder": name,
        "kind": encoder.kind,
        "rows": len(representation),
        "shape": list(representation.shape[1:]),
        "train_ids": rows.ids_digest(material.rows.ids),
        "shards": io.sha256(paths.shards(out)),
    }
    io.write_json(paths.index(out), index)
    return Made([paths.shards(out), paths.index(out)], inputs + read, flops=count.flops)


def _statistics(suite: Suite, dataset: str, name: str) -> Made:
    train = rows.read(paths.data(dataset), rows.TRAIN)
    features, inputs = extract(suite, dataset, name, train)
    out = paths.statistics(dataset, name)
    write_features(out, features)
    return Made([out], [paths.index(paths.data(dataset)), *inputs])


def write_features(path: str, features: Features) -> None:
    """Features with their float64 moments, as npz."""
    x = features.features
    arrays = {
        "features": x,
        "labels": features.labels,
        "mu": x.mean(0),
        "sigma": np.cov(x, rowvar=False),
        "n": np.array(len(x)),
    }
    with io.atomic(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def read_features(path: str) -> Features:
    """Reference features, as `write_features` wrote them."""
    with np.load(io.require(path), allow_pickle=False) as file:
        return Features(file["features"], file["labels"])
