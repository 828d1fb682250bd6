"""caption: one text per datum -> results/captions/<dataset>/<captioner>/captions.parquet."""

from argparse import Namespace
from functools import partial
from pathlib import Path

from reedbench.captioners import AbstractCaptioner
from reedbench.core import io, paths, provenance
from reedbench.core.parts import Parts
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.work import operations_per_row, timed


def caption(suite: Suite, arguments: Namespace) -> Made | None:
    """Caption the rows of both splits, part by part; ids pair texts with data."""
    name, dataset = arguments.captioner, arguments.dataset
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    captioner = suite.captioner(dataset, name)
    with company("cpu") as ranks:
        with timed() as begun:
            splits = [rows.read(paths.data(dataset), split) for split in (rows.TRAIN, rows.TEST)]
            pieces = [(split, range(cut.start, cut.stop)) for split in splits for cut in split.cuts()]
        cut = [[some.start, some.stop] for _, some in pieces]
        decides = [settings.key(settings.captioner(suite, dataset, name)), io.sha256(data), cut]
        parts = Parts(("caption", dataset, name), decides, len(pieces), suffix=".parquet")

        def make(number: int, part: Path) -> None:
            split, some = pieces[number]
            _write(captioner, split.take(some), part)

        with filled(parts, ranks, make, [len(some) for _, some in pieces]):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            out = _joined(dataset, name, parts)
        flops = sum(operations_per_row(partial(_again, captioner, split), split) for split in splits)
    return Made([out], [data], device_seconds=seconds, cpu_seconds=cpu, flops=flops, kept=parts)


def _write(captioner: AbstractCaptioner, some: Rows, file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    texts = captioner.captions(some) if len(some) else []
    parquet.write_table(pa.table({"id": pa.array(some.ids, pa.string()), "text": pa.array(texts, pa.string())}), file)


def _joined(dataset: str, name: str, parts: Parts) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.concat_tables([io.read_table(file) for file in parts.files()]).combine_chunks()
    with io.atomic(out := paths.captions(dataset, name)) as file:
        parquet.write_table(table, file)
    return out


def _again(captioner: AbstractCaptioner, split: Rows, some: list[int]) -> None:
    captioner.captions(split.take(some))
