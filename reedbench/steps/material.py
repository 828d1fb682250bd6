"""Gathers what an encoder may look at: rows, captions of the same rows, representations of the same rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reedbench.core import io, paths, pins, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.encoders import Material
from reedbench.schema import settings
from reedbench.schema.suite import Suite


def gather(
    suite: Suite, dataset: str, encoder: str, split: str, *, studied: bool = False
) -> tuple[Material, list[str]]:
    """The material of a split for an encoder, and the files that were read; `studied`: as it is trained on it.

    Raises:
        MissingArtefact: something has not been made, or was made under other settings.
    """
    data = paths.data(dataset)
    require_pinned(suite, suite.encoder(dataset, encoder))
    provenance.require(paths.index(data), settings.key(settings.dataset(suite, dataset)))
    chosen, inputs = rows.read(data, split), [paths.index(data)]
    if studied:
        chosen = suite.encoder(dataset, encoder).studied(chosen)
    captions = None
    if (captioner := suite.encoder(dataset, encoder).reads_captions_of()) is not None:
        file = paths.captions(dataset, captioner)
        provenance.require(file, settings.key(settings.captioner(suite, dataset, captioner)))
        captions = _captions_of(file, chosen.ids)
        inputs.append(file)
    representations, read = by_others(suite, dataset, encoder, chosen)
    return Material(chosen, captions, representations), inputs + read


def by_others(suite: Suite, dataset: str, encoder: str, chosen: Rows) -> tuple[dict[str, Any], list[str]]:
    """Representations of rows by the encoders that an encoder reads, and the files that were read.

    Raises:
        MissingArtefact: something has not been made, or was made under other settings.
    """
    representations: dict[str, Any] = {}
    inputs: list[str] = []
    for name, filed in suite.read_by(dataset, encoder).items():
        weights, read = weights_of(suite, dataset, filed)
        representations[name] = suite.encoder(dataset, filed).represent(weights, Material(chosen))
        inputs += read
    return representations, inputs


def require_pinned(suite: Suite, *plugins: Any) -> None:
    """Refuse to begin without the weights from outside that plugins name, or with others under that name.

    Raises:
        MissingArtefact: they have not been fetched, or were fetched under another digest.
    """
    for plugin in plugins:
        for name in pins.named(plugin).values():
            pins.card(name)
            provenance.require(paths.card(paths.pinned(name)), settings.key(settings.weight(suite, name)))


def weights_of(suite: Suite, dataset: str, name: str) -> tuple[Mapping[str, np.ndarray], list[str]]:
    """Weights of an encoder (none if it needs no training), and the files that it reads beside its material.

    Raises:
        MissingArtefact: they have not been made, or were made under other settings.
    """
    encoder = suite.encoder(dataset, name)
    require_pinned(suite, encoder)
    outside = [str(file) for file in encoder.files()]
    if not encoder.pretrained:
        return {}, outside
    file = paths.weights(paths.encoder(dataset, name))
    provenance.require(file, settings.key(settings.encoder(suite, dataset, name)))
    return io.read_tensors(file), [file, *outside]


def _captions_of(file: Path | str, ids: Any) -> list[str]:
    table = io.read_table(file, ["id", "text"]).to_pydict()
    texts = dict(zip(table["id"], table["text"], strict=True))
    missing = [name for name in ids if name not in texts]
    if missing:
        raise MissingArtefact(f"{file}: no caption for {missing[0]} ({len(missing)} of {len(ids)} rows); caption again")
    return [texts[name] for name in ids]
