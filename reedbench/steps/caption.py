"""caption: one text per datum -> results/captions/<dataset>/<captioner>/captions.parquet."""

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reedbench.core import io, paths, provenance
from reedbench.core.parts import Parts, cuts
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of_captioner
from reedbench.steps.material import require_pinned
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.work import operations_per_row, timed

Write = Callable[[Rows], list[str]]  # texts of rows


def caption(suite: Suite, arguments: Namespace) -> Made | None:
    """Caption the rows of both splits, part by part; ids pair texts with data."""
    name, dataset = arguments.captioner, arguments.dataset
    data = paths.index(paths.data(dataset))
    provenance.require(data, settings.key(settings.dataset(suite, dataset)))
    captioner = suite.captioner(dataset, name)
    require_pinned(suite, captioner)
    inputs = [data, *(str(file) for file in captioner.files())]
    with company(device_of_captioner(suite, dataset, name)) as ranks:
        with timed(ranks.device) as begun:
            splits = [rows.read(paths.data(dataset), split) for split in (rows.TRAIN, rows.TEST)]
            pieces = [(split, range(cut.start, cut.stop)) for split in splits for cut in split.cuts()]
            write = captioner.prepared(ranks.device)
        cut = [[some.start, some.stop] for _, some in pieces]
        key, read = settings.key(settings.captioner(suite, dataset, name)), {file: io.sha256(file) for file in inputs}
        decides = [key, read, ranks.device, cut]
        parts = Parts(("caption", dataset, name), decides, len(pieces), suffix=".parquet")

        def make(number: int, part: Path) -> None:
            split, some = pieces[number]
            _write(write, captioner.at_once, split, some, part)

        with filled(parts, ranks, make, [len(some) for _, some in pieces]):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            out = _joined(dataset, name, parts)
        flops = sum(operations_per_row(partial(_again, write, split), split) for split in splits)
    return Made([out], inputs, device=ranks.device, device_seconds=seconds, cpu_seconds=cpu(), flops=flops, kept=parts)


def _write(write: Write, at_once: int, split: Rows, some: range, file: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    ids, texts = [split.ids[row] for row in some], []
    for one in cuts(split.sizes()[some.start : some.stop].tolist(), at_once) if some else ():
        texts += write(split.take(some[one]))
    parquet.write_table(pa.table({"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())}), file)


def _joined(dataset: str, name: str, parts: Parts) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.concat_tables([io.read_table(file) for file in parts.files()]).combine_chunks()
    with io.atomic(out := paths.captions(dataset, name)) as file:
        parquet.write_table(table, file)
    return out


def _again(write: Write, split: Rows, some: list[int]) -> None:
    write(split.take(some))
