"""prepare: rows of a dataset -> results/data/<dataset>/."""

from argparse import Namespace

from reedbench.core import paths
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.schema.suite import Suite


def prepare(suite: Suite, arguments: Namespace) -> Made:
    """Write shards, manifest and index of a dataset.

    Raises:
        ConfigError: the training split is empty.
    """
    dataset = suite.dataset(arguments.dataset)
    facts = {"dataset": dataset.id, "version": dataset.version, **dataset.facts()}
    return Made(rows.write(paths.data(dataset.id), dataset.rows(), facts))
