"""represent: encode the training split -> results/representations/<dataset>/<encoder>/, or, for an extractor, take its
reference statistics -> results/statistics/<dataset>/<extractor>.npz.

Both go part by part. A part is cut by what it reads and writes, and within it rows go through the encoder pass by pass,
so that what an encoder holds does not grow with the data; neither depends on how many processes share the parts.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from reedbench.core import console, io, paths, provenance, shards
from reedbench.core.errors import ConfigError
from reedbench.core.parts import BYTES, Parts, cuts
from reedbench.core.provenance import Made
from reedbench.core.ragged import Ragged, joined
from reedbench.domains import rows
from reedbench.encoders import AbstractEncoder, Encode, Material
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of_encoder
from reedbench.steps.features import Extraction, passes, seen_by, write_features
from reedbench.steps.material import gather, prepared, require_pinned, weights_of
from reedbench.steps.precision import precise
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled, published
from reedbench.steps.work import operations_per_row, timed

LARGE_KINDS = ("residues", "pairs")  # of which a row may take megabytes
FEW_ROWS = 256


def represent(suite: Suite, arguments: Namespace) -> Made | None:
    """Only training rows are represented: an alignment target never sees the test split."""
    if arguments.extractor:
        return _statistics(suite, arguments.dataset, arguments.extractor)
    dataset, name = arguments.dataset, arguments.encoder
    encoder = suite.encoder(dataset, name)
    torch.set_num_threads(encoder.threads)
    with company(device_of_encoder(suite, dataset, name)) as ranks:
        with timed(ranks.device) as begun:
            material, inputs = gather(suite, dataset, name, rows.TRAIN, device=ranks.device)
            weights, read = weights_of(suite, dataset, name)
            encode = prepared(encoder, weights, material, ranks.device)
            coded = Coded(encoder, encode, material, ranks.device)
        files = inputs + read
        decides = [settings.key(settings.encoder(suite, dataset, name)), _digests(files), ranks.device, coded.plain]
        parts = Parts(("represent", dataset, name), decides, len(coded.parts))

        def make(number: int, shard: Path) -> None:
            shards.write_part(shard, {"representation": coded.part(number)})

        with filled(parts, ranks, make, coded.rows):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            facts = {"encoder": name, "kind": encoder.kind, "shape": list(coded.shape)}
            made = published(paths.representation(dataset, name), parts, material.rows, facts)
        flops = operations_per_row(lambda some: encode(material.take(some)), material.rows)
    return Made(made, files, device=ranks.device, device_seconds=seconds, cpu_seconds=cpu(), flops=flops, kept=parts)


def _digests(files: Sequence[str]) -> dict[str, str]:
    return {file: io.sha256(file) for file in files}


class Coded:
    """The representation of all rows, cut into parts by their bytes.

    The first row says how large those of the others are.

    Attributes:
        shape: of the rows, as `Shards` has it.
        parts: rows of each part.
    """

    def __init__(self, encoder: AbstractEncoder, encode: Encode, material: Material, device: str = "cpu") -> None:
        self.encoder, self.encode, self.material, self.device = encoder, encode, material, device
        with console.muted():
            first = _halved(encode(material.take([0])), material.rows.ids[:1], encoder)
        self.shape = first.shape[1:]
        read, entry = material.rows.sizes(), shards.row_bytes({"": first})[0]
        if isinstance(first, Ragged):
            lengths = material.rows.lengths()
            entries = lengths**2 if encoder.kind == "pairs" else lengths
            written = entries * (entry // max(int(first.lengths[0]), 1))
        else:
            written = np.full(len(read), entry)
        self.sizes = read, written
        most = FEW_ROWS if encoder.kind in LARGE_KINDS else shards.ROWS_PER_SHARD
        self.parts = cuts(np.maximum(read, written).tolist(), BYTES, most)

    @property
    def rows(self) -> list[int]:
        """Rows of each part."""
        return [part.stop - part.start for part in self.parts]

    @property
    def plain(self) -> list[list[int]]:
        """The cut, as a plain value."""
        return [[part.start, part.stop] for part in self.parts]

    def part(self, number: int) -> np.ndarray | Ragged:
        """One of them, in half precision.

        Raises:
            ConfigError: a value does not fit, or rows have other shapes than the first one.
        """
        found: np.ndarray | Ragged = joined([self._passed(some) for some in passes(self.parts[number], *self.sizes)])
        return found

    def _passed(self, some: range) -> np.ndarray | Ragged:
        part = self.material.take(some)
        with precise("fp32", self.device, self.encoder.uses):  # its own `precision` is that of its weights
            found = _halved(self.encode(part), part.rows.ids, self.encoder)
        if found.shape[1:] != self.shape:
            raise ConfigError(
                f"encoder {self.encoder.uses}: gives rows of shape {found.shape[1:]} from '{part.rows.ids[0]}' on, and "
                f"of {self.shape} before; all rows need the same"
            )
        return found


def _halved(found: np.ndarray | Ragged, ids: Sequence[str], encoder: AbstractEncoder) -> np.ndarray | Ragged:
    """Half precision.

    Raises:
        ConfigError: a value does not fit.
    """
    with np.errstate(over="ignore"):
        half = found.astype(np.float16)
    if not np.isfinite(half.values if isinstance(half, Ragged) else half).all():
        name = next(name for name, row in zip(ids, half, strict=True) if not np.isfinite(row).all())
        raise ConfigError(
            f"encoder {encoder.uses}: row '{name}' has a value beyond {np.finfo(np.float16).max:.0f}, the largest "
            "in half precision, or one that is no number; scale what it gives"
        )
    return half


def _statistics(suite: Suite, dataset: str, name: str) -> Made | None:
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    with company(device_of_encoder(suite, dataset, name)) as ranks:
        with timed(ranks.device) as begun:
            require_pinned(suite, suite.encoder(dataset, name))
            published = suite.encoder(dataset, name).published()
            reference = rows.read(paths.data(dataset), rows.REFERENCE) if published is None else published.rows
            seen, inputs = seen_by(suite, dataset, name, reference, ranks.device)
            extraction = Extraction(seen, reference, reference.take)
        files = [data, *inputs, *([] if published is None else [str(published.file)])]
        key = settings.key(settings.encoder(suite, dataset, name))
        decides = [key, _digests(files), ranks.device, extraction.plain]
        parts = Parts(("statistics", dataset, name), decides, len(extraction.parts))
        with filled(parts, ranks, extraction.write, extraction.rows):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            out = paths.statistics(dataset, name)
            write_features(out, parts.files(), published)
    return Made([out], files, device=ranks.device, device_seconds=seconds, cpu_seconds=cpu(), kept=parts)
