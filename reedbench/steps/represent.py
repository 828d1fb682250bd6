"""represent: encode the training split -> results/representations/<dataset>/<encoder>/, or, for an extractor, take its
reference statistics -> results/statistics/<dataset>/<extractor>.npz."""

from argparse import Namespace
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from reedbench.core import io, paths, provenance, shards
from reedbench.core.console import Track
from reedbench.core.errors import ConfigError
from reedbench.core.provenance import Made
from reedbench.core.ragged import Ragged
from reedbench.core.staging import staged
from reedbench.domains import rows
from reedbench.encoders import AbstractEncoder, Encode, Material
from reedbench.metrics import Features
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of_encoder
from reedbench.steps.features import extract
from reedbench.steps.material import by_others, gather, weights_of
from reedbench.steps.work import operations_per_row, timed

LARGE_KINDS = ("residues", "pairs")  # of which a row may take megabytes
FEW_ROWS = 256


def represent(suite: Suite, arguments: Namespace) -> Made:
    """Only training rows are represented: an alignment target never sees the test split."""
    if arguments.extractor:
        return _statistics(suite, arguments.dataset, arguments.extractor)
    dataset, name = arguments.dataset, arguments.encoder
    encoder = suite.encoder(dataset, name)
    torch.set_num_threads(encoder.threads)
    device = device_of_encoder(suite, dataset, name)
    with timed(device) as work:  # gathering runs the encoders that this one reads
        material, inputs = gather(suite, dataset, name, rows.TRAIN)
        weights, read = weights_of(suite, dataset, name)
        out = paths.representation(dataset, name)
        encode = encoder.prepared(weights, material, device)
        shards.write_parts(paths.shards(out), _parts(encoder, encode, material))

    def again(some: list[int]) -> None:
        part = material.take(some)
        by_others(suite, dataset, name, part.rows)
        encode(part)

    flops = operations_per_row(again, material.rows)
    index = {
        "encoder": name,
        "kind": encoder.kind,
        "rows": len(material.rows),
        "shape": list(shards.Shards(staged(paths.shards(out))).shape("representation")),
        "train_ids": rows.ids_digest(material.rows.ids),
        "shards": io.sha256(staged(paths.shards(out))),
    }
    io.write_json(paths.index(out), index)
    made = [paths.shards(out), paths.index(out)]
    return Made(made, inputs + read, device=device, device_seconds=work.seconds, flops=flops)


def _parts(encoder: AbstractEncoder, encode: Encode, material: Material) -> Iterator[dict[str, np.ndarray | Ragged]]:
    """The representation shard by shard, in half precision.

    Raises:
        ConfigError: a value does not fit, or parts differ in shape.
    """
    count = len(material.rows)
    size = FEW_ROWS if encoder.kind in LARGE_KINDS else shards.ROWS_PER_SHARD
    shape = None
    with Track(f"represent by {encoder.uses}", count, unit="row") as track:
        for begin in range(0, count, size):
            part = material.take(range(begin, min(begin + size, count)))
            found = _halved(encode(part), part.rows.ids, encoder)
            shape = shape or found.shape[1:]
            if found.shape[1:] != shape:
                raise ConfigError(
                    f"encoder {encoder.uses}: gives rows of shape {found.shape[1:]} from '{part.rows.ids[0]}' on, and "
                    f"of {shape} before; all rows need the same"
                )
            yield {"representation": found}
            track.update(begin + len(part.rows))


def _halved(found: np.ndarray | Ragged, ids: Sequence[str], encoder: AbstractEncoder) -> np.ndarray | Ragged:
    """Half precision.

    Raises:
        ConfigError: a value does not fit.
    """
    with np.errstate(over="ignore"):
        half = found.astype(np.float16)
    for name, row in zip(ids, half, strict=True):
        if not np.isfinite(row).all():
            raise ConfigError(
                f"encoder {encoder.uses}: row '{name}' has a value beyond {np.finfo(np.float16).max:.0f}, the largest "
                "in half precision, or one that is no number; scale what it gives"
            )
    return half


def _statistics(suite: Suite, dataset: str, name: str) -> Made:
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    features, inputs = extract(suite, dataset, name, rows.read(paths.data(dataset), rows.TRAIN))
    out = paths.statistics(dataset, name)
    write_features(out, features)
    return Made([out], [data, *inputs])


def write_features(path: str, features: Features) -> None:
    """Features, and of a classifier the classes that rows have and those that it sees, as npz."""
    arrays = {"features": features.features, "labels": features.labels, "predicted": features.predicted}
    io.write_npz(path, {name: array for name, array in arrays.items() if array is not None})


def read_features(path: str) -> Features:
    """Reference features, as `write_features` wrote them."""
    arrays = io.read_npz(path)
    return Features(arrays["features"], arrays.get("labels"), arrays.get("predicted"))
