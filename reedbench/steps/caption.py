"""caption: one text per datum -> results/captions/<dataset>/<captioner>/captions.parquet."""

from argparse import Namespace
from functools import partial
from pathlib import Path

from reedbench.captioners import AbstractCaptioner
from reedbench.core import io, paths, provenance
from reedbench.core.parts import BYTES, Parts, cuts
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.material import require_pinned
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.work import operations_per_row, timed

PASS = BYTES // 8  # bytes of rows that a captioner sees at once: in float64, and with what it makes of them, many more


def caption(suite: Suite, arguments: Namespace) -> Made | None:
    """Caption the rows of both splits, part by part; ids pair texts with data."""
    name, dataset = arguments.captioner, arguments.dataset
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    captioner = suite.captioner(dataset, name)
    require_pinned(suite, captioner)
    inputs = [data, *(str(file) for file in captioner.files())]
    with company("cpu") as ranks:
        with timed() as begun:
            splits = [rows.read(paths.data(dataset), split) for split in (rows.TRAIN, rows.TEST)]
            pieces = [(split, range(cut.start, cut.stop)) for split in splits for cut in split.cuts()]
        cut = [[some.start, some.stop] for _, some in pieces]
        decides = [settings.key(settings.captioner(suite, dataset, name)), io.sha256(data), cut]
        parts = Parts(("caption", dataset, name), decides, len(pieces), suffix=".parquet")

        def make(number: int, part: Path) -> None:
            split, some = pieces[number]
            _write(captioner, split, some, part)

        with filled(parts, ranks, make, [len(some) for _, some in pieces]):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            out = _joined(dataset, name, parts)
        flops = sum(operations_per_row(partial(_again, captioner, split), split) for split in splits)
    return Made([out], inputs, device_seconds=seconds, cpu_seconds=cpu(), flops=flops, kept=parts)


def _write(captioner: AbstractCaptioner, split: Rows, some: range, file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    ids, texts = [split.ids[row] for row in some], []
    for one in cuts(split.sizes()[some.start : some.stop].tolist(), PASS) if some else ():
        texts += captioner.captions(split.take(some[one]))
    parquet.write_table(pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())}), file)


def _joined(dataset: str, name: str, parts: Parts) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.concat_tables([io.read_table(file) for file in parts.files()]).combine_chunks()
    with io.atomic(out := paths.captions(dataset, name)) as file:
        parquet.write_table(table, file)
    return out


def _again(captioner: AbstractCaptioner, split: Rows, some: list[int]) -> None:
    captioner.captions(split.take(some))
