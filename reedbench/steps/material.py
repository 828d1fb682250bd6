"""Gathers what an encoder may look at: rows, captions of the same rows, representations of the same rows."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import numpy as np

from reedbench.core import io, paths, pins, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.encoders import AbstractEncoder, Encode, Material, Represented
from reedbench.schema import settings
from reedbench.schema.suite import Suite

NOTHING: Mapping[str, Encode] = MappingProxyType({})


def gather(
    suite: Suite, dataset: str, encoder: str, split: str, *, device: str = "cpu", studied: bool = False
) -> tuple[Material, list[str]]:
    """The material of a split for an encoder, which stays on disk, and the files that it is read from.

    Encoders that it reads compute on `device`, those that can. `studied`: as the encoder is trained on it.

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
        captions = Captions(file, chosen.ids)
        inputs.append(file)
    others, read = others_of(suite, dataset, encoder, chosen, device)
    return Material(chosen, captions, Represented(others, chosen)), inputs + read


def others_of(
    suite: Suite,
    dataset: str,
    encoder: str,
    data: Rows,
    device: str = "cpu",
    ready: Mapping[str, Encode] = NOTHING,
) -> tuple[dict[str, Callable[[Rows], Any]], list[str]]:
    """The encoders that an encoder reads, each for any part of some data, and the files that they need.

    On `cuda` compute those that can. Those of `ready` are used as they are.

    Raises:
        MissingArtefact: something has not been made, or was made under other settings.
    """
    encoders: dict[str, Callable[[Rows], Any]] = {}
    inputs: list[str] = []
    for name, filed in suite.read_by(dataset, encoder).items():
        weights, read = weights_of(suite, dataset, filed)
        there = ready.get(filed)
        encoders[name] = _represented(suite.encoder(dataset, filed), weights, data, device, there)
        inputs += read
    return encoders, inputs


def _represented(
    encoder: AbstractEncoder, weights: Mapping[str, np.ndarray], data: Rows, device: str, there: Encode | None
) -> Callable[[Rows], Any]:
    @cache  # read and built once, and not before somebody asks
    def ready() -> Encode:
        return there or prepared(encoder, weights, Material(data), device)

    def represented(some: Rows) -> Any:
        found = ready()(Material(some))
        return encoder.parted(found)["features"] if isinstance(found, np.ndarray) else found

    return represented


def prepared(encoder: AbstractEncoder, weights: Mapping[str, np.ndarray], material: Material, device: str) -> Encode:
    """An encoder made ready on a device, or on the CPU if itself it computes nowhere else."""
    return encoder.prepared(weights, material, device if encoder.on_gpu else "cpu")


def remembering(encode: Encode) -> Encode:
    """The same, which is not asked twice in a row about the same rows."""
    last: list[tuple[Rows, Any]] = []

    def asked(material: Material) -> Any:
        if not last or last[0][0] is not material.rows:
            last[:] = [(material.rows, encode(material))]
        return last[0][1]

    return asked


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


class Captions(Sequence[str]):
    """Texts of rows, paired by id with those of a file.

    Raises:
        MissingArtefact: a row has none, or the file is absent or damaged.
    """

    def __init__(self, file: Path | str, ids: Sequence[str]) -> None:
        from pyarrow import compute

        table = io.read_table(file, ["id", "text"])
        self.texts = table["text"]
        found = compute.index_in(_array(ids), table["id"].combine_chunks())
        if found.null_count:
            missing = ids[compute.indices_nonzero(found.is_null())[0].as_py()]
            raise MissingArtefact(
                f"{file}: no caption for {missing} ({found.null_count} of {len(ids)} rows); caption again"
            )
        self.places = found.to_numpy()

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        """One text, or several."""
        if isinstance(row, slice):
            return [self[i] for i in range(*row.indices(len(self)))]
        return str(self.texts[int(self.places[row])])

    def __len__(self) -> int:
        return len(self.places)


def _array(ids: Sequence[str]) -> Any:
    import pyarrow as pa

    return pa.array(ids, pa.string())
