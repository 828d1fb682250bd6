"""prepare: rows of a dataset -> results/data/<dataset>/."""

from argparse import Namespace

from reedbench.core import console, paths
from reedbench.core.errors import ConfigError, place_outside
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.schema.suite import Suite


def prepare(suite: Suite, arguments: Namespace) -> Made:
    """Write shards, manifest and index of a dataset.

    Raises:
        ConfigError: the training split is empty, or the settings do not fit the data.
    """
    dataset = suite.dataset(arguments.dataset)
    try:
        made = dataset.rows()
        facts = {"dataset": dataset.id, "version": dataset.version, **dataset.facts()}
    except ValueError as error:  # what a library says of settings that do not fit the data
        raise ConfigError(f"dataset {dataset.id}: {error}{place_outside(error)}") from error
    outputs = rows.write(paths.data(dataset.id), made, facts)
    for line in dataset.remarks():
        console.say(f"{dataset.id}: {line}")
    return Made(outputs, [str(file) for file in dataset.files()])
