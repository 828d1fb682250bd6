"""caption: one text per datum -> results/captions/<dataset>/<captioner>/captions.parquet."""

from argparse import Namespace
from functools import partial

from reedbench.core import io, paths, provenance
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.material import require_pinned
from reedbench.steps.work import operations_per_row, timed


def caption(suite: Suite, arguments: Namespace) -> Made:
    """Caption the rows of both splits; ids pair texts with data."""
    import pyarrow as pa
    from pyarrow import parquet

    data = paths.data(arguments.dataset)
    provenance.require(paths.index(data), settings.key(settings.dataset(suite, arguments.dataset)))
    captioner = suite.captioner(arguments.dataset, arguments.captioner)
    require_pinned(suite, captioner)
    parts = [rows.read(data, split) for split in (rows.TRAIN, rows.TEST)]
    with timed() as work:
        texts = [text for part in parts for text in captioner.captions(part)]
    out = paths.captions(arguments.dataset, arguments.captioner)
    with io.atomic(out) as file:
        parquet.write_table(pa.table({"id": [name for part in parts for name in part.ids], "text": texts}), file)

    def again(part: Rows, some: list[int]) -> None:
        captioner.captions(part.take(some))

    flops = sum(operations_per_row(partial(again, part), part) for part in parts)
    inputs = [paths.index(data), *(str(file) for file in captioner.files())]
    return Made([out], inputs, device_seconds=work.seconds, flops=flops)
