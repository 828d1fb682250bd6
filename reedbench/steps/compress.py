"""compress: encode the training split for the backbone -> results/latents/<dataset>/<codec>/.

For codecs whose encoding is dear: it is done once, part by part, for all benchmarks, methods and seeds.
"""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reedbench.codecs import AbstractCodec
from reedbench.core import io, numerics, paths, provenance, shards
from reedbench.core.parts import BYTES, Parts, cuts
from reedbench.core.provenance import Made
from reedbench.core.ragged import joined
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import runs, settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of
from reedbench.steps.features import passes
from reedbench.steps.material import require_pinned
from reedbench.steps.precision import precise
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled, published
from reedbench.steps.work import operations_per_row, timed


def compress(suite: Suite, arguments: Namespace) -> Made | None:
    """Only training rows are encoded; ids pair them with data."""
    dataset, name = arguments.dataset, arguments.codec
    codec, data = suite.codec(dataset, name), paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    require_pinned(suite, codec)
    inputs = [data, *map(str, codec.files())]
    device = device_of(runs.first_on(suite, dataset), "compress")
    torch.set_num_threads(codec.cpu_threads)
    with company(device) as ranks, precise("fp32", device, name):
        with timed(ranks.device) as begun:
            work = Compression(codec.on(ranks.device), rows.read(paths.data(dataset), rows.TRAIN))
        key = settings.key(settings.latents(suite, dataset, name))
        digests = {file: io.sha256(file) for file in inputs}
        decides = [key, digests, ranks.device, codec.cpu_threads, work.plain]
        parts = Parts(("compress", dataset, name), decides, len(work.parts))
        with filled(parts, ranks, work.write, [part.stop - part.start for part in work.parts]):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            made = published(paths.latents(dataset, name), parts, work.train, {"codec": name})
        flops = work.operations(rows.index(paths.data(dataset)))
        under = numerics.here(device)
    return Made(
        made,
        inputs,
        device=device,
        device_seconds=seconds,
        cpu_seconds=cpu(),
        flops=flops,
        numerics=under,
        kept=parts,
    )


class Compression:
    """Rows on their way through a codec, cut into parts by what is read and written.

    The first row says how large what is kept of the others is.

    Attributes:
        parts: rows of each part.
    """

    def __init__(self, codec: AbstractCodec, train: Rows) -> None:
        self.codec, self.train = codec, train
        written = shards.row_bytes(codec.compressed(train.take([0]).arrays))[0]
        self.sizes = train.sizes(), np.full(len(train), written)
        self.parts = cuts(np.maximum(*self.sizes).tolist(), BYTES, shards.ROWS_PER_SHARD)

    @property
    def plain(self) -> list[int]:
        """The cut, as a plain value."""
        return [part.stop for part in self.parts]

    def operations(self, facts: Mapping[str, Any]) -> float:
        """Of all rows: by shapes, or counted on a few of them."""
        each = self.codec.compressing_flops(facts)
        if each is None:
            return operations_per_row(lambda some: self.codec.compressed(self.train.take(some).arrays), self.train)
        return each * len(self.train)

    def write(self, number: int, file: Path) -> None:
        """Make one part, pass by pass."""
        found = [
            self.codec.compressed(self.train.take(some).arrays) for some in passes(self.parts[number], *self.sizes)
        ]
        shards.write_part(file, {name: joined([one[name] for one in found]) for name in found[0]})
