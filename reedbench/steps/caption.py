"""caption: one text per datum -> results/captions/<dataset>/<captioner>/captions.parquet."""

from argparse import Namespace

from reedbench.core import io, paths
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.schema.suite import Suite


def caption(suite: Suite, arguments: Namespace) -> Made:
    """Caption the rows of both splits; ids pair texts with data."""
    import pandas as pd

    data = paths.data(arguments.dataset)
    captioner = suite.captioner(arguments.dataset, arguments.captioner)
    tables = []
    for split in (rows.TRAIN, rows.TEST):
        part = rows.read(data, split)
        tables.append(pd.DataFrame({"id": part.ids, "text": captioner.captions(part)}))
    out = paths.captions(arguments.dataset, arguments.captioner)
    with io.atomic(out) as file:
        pd.concat(tables).to_parquet(file, index=False)
    return Made([out], [paths.index(data)])
