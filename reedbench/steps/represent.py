"""represent: encode the training split -> results/representations/<dataset>/<encoder>/, or, for an extractor, take its
reference statistics -> results/statistics/<dataset>/<extractor>.npz."""

from argparse import Namespace

import numpy as np
import torch

from reedbench.core import io, paths, provenance, shards
from reedbench.core.provenance import Made
from reedbench.core.staging import staged
from reedbench.domains import rows
from reedbench.metrics import Features
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.features import extract
from reedbench.steps.material import gather, weights_of
from reedbench.steps.work import measured


def represent(suite: Suite, arguments: Namespace) -> Made:
    """Only training rows are represented: an alignment target never sees the test split."""
    if arguments.extractor:
        return _statistics(suite, arguments.dataset, arguments.extractor)
    dataset, name = arguments.dataset, arguments.encoder
    encoder = suite.encoder(dataset, name)
    torch.set_num_threads(encoder.threads)
    with measured() as work:  # gathering runs the encoders that this one reads
        material, inputs = gather(suite, dataset, encoder, rows.TRAIN)
        weights, read = weights_of(suite, dataset, name)
        representation = encoder.represent(weights, material)
    out = paths.representation(dataset, name)
    shards.write(paths.shards(out), {"representation": representation.astype(np.float16)})
    index = {
        "encoder": name,
        "kind": encoder.kind,
        "rows": len(representation),
        "shape": list(representation.shape[1:]),
        "train_ids": rows.ids_digest(material.rows.ids),
        "shards": io.sha256(staged(paths.shards(out))),
    }
    io.write_json(paths.index(out), index)
    return Made([paths.shards(out), paths.index(out)], inputs + read, device_seconds=work.seconds, flops=work.flops)


def _statistics(suite: Suite, dataset: str, name: str) -> Made:
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    features, inputs = extract(suite, dataset, name, rows.read(paths.data(dataset), rows.TRAIN))
    out = paths.statistics(dataset, name)
    write_features(out, features)
    return Made([out], [data, *inputs])


def write_features(path: str, features: Features) -> None:
    """Features with their float64 moments, as npz."""
    x = features.features
    moments = {"mu": x.mean(0), "sigma": np.cov(x, rowvar=False), "n": np.array(len(x))}
    predicted = {} if features.predicted is None else {"predicted": features.predicted}
    io.write_npz(path, {"features": x, "labels": features.labels, **moments, **predicted})


def read_features(path: str) -> Features:
    """Reference features, as `write_features` wrote them."""
    arrays = io.read_npz(path)
    return Features(arrays["features"], arrays["labels"], arrays.get("predicted"))
