"""Gathers what an encoder may look at: rows, captions of the same rows, representations of the same rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io, paths
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.encoders import AbstractEncoder, Material
from reedbench.schema.suite import Suite


def gather(suite: Suite, dataset: str, encoder: AbstractEncoder, split: str) -> tuple[Material, list[str]]:
    """The material of a split for an encoder, and the files that were read."""
    data = paths.data(dataset)
    chosen, inputs = rows.read(data, split), [paths.index(data)]
    captions = None
    if (captioner := encoder.reads_captions_of()) is not None:
        file = paths.captions(dataset, captioner)
        captions = _captions_of(file, chosen.ids)
        inputs.append(file)
    representations = {}
    for name in encoder.reads_encoders():
        other = suite.encoder(dataset, name)
        weights, read = weights_of(dataset, name, other)
        representations[name] = other.represent(weights, Material(chosen))
        inputs += read
    return Material(chosen, captions, representations), inputs


def weights_of(dataset: str, name: str, encoder: AbstractEncoder) -> tuple[Mapping[str, np.ndarray], list[str]]:
    """Weights of an encoder (none if it needs no training), and the files that were read."""
    if not encoder.pretrained:
        return {}, []
    file = paths.weights(paths.encoder(dataset, name))
    return io.read_tensors(file), [file]


def _captions_of(file: Path | str, ids: Any) -> list[str]:
    import pandas as pd

    texts = pd.read_parquet(io.require(file)).set_index("id")["text"]
    missing = [name for name in ids if name not in texts.index]
    if missing:
        raise MissingArtefact(f"{file}: no caption for {missing[0]} ({len(missing)} of {len(ids)} rows); caption again")
    return [str(texts[name]) for name in ids]
