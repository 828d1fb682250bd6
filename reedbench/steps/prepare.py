"""prepare: rows of a dataset -> results/data/<dataset>/."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reedbench.core import console, io, paths
from reedbench.core.errors import ConfigError, place_outside
from reedbench.core.parts import Parts
from reedbench.core.provenance import Made
from reedbench.datasets import AbstractDataset
from reedbench.domains import rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.work import timed

LISTED = ".parquet"  # the manifest of a part, beside its shard


def prepare(suite: Suite, arguments: Namespace) -> Made | None:
    """Write shards, manifest and index of a dataset, part by part.

    Raises:
        ConfigError: the training split is empty, or the settings do not fit the data.
    """
    dataset = suite.dataset(arguments.dataset)
    files = [str(file) for file in dataset.files()]
    with company("cpu") as ranks:
        with timed() as begun, _blamed(dataset):
            pieces = dataset.parts()
            given = dataset.decides()
        decides = [settings.key(settings.dataset(suite, dataset.id)), {file: io.sha256(file) for file in files}, given]
        parts = Parts(("prepare", dataset.id), decides, len(pieces))

        def make(number: int, shard: Path) -> None:
            with _blamed(dataset):
                rows.write_piece(shard, parts.beside(number, LISTED), pieces[number]())

        def holds(number: int) -> bool:
            with _blamed(dataset):
                return dataset.holds(number, _ids(parts, number))

        with filled(parts, ranks, make, [1] * len(pieces), unit="part", holds=holds):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            outputs = _published(dataset, parts)
    for line in dataset.remarks():
        console.say(f"{dataset.id}: {line}")
    return Made(outputs, files, device_seconds=seconds, cpu_seconds=cpu(), kept=parts)


def _published(dataset: AbstractDataset, parts: Parts) -> list[str]:
    listed = [parts.beside(i, LISTED) for i in range(parts.count)]
    pieces = list(zip(parts.files(), listed, strict=True))
    with _blamed(dataset):
        made = rows.of_pieces(pieces)
        told = {**dataset.facts(), **dataset.absent(made.ids), **dataset.measured(made)}
    facts = {"dataset": dataset.id, "version": dataset.version, **told}
    try:
        return rows.publish(paths.data(dataset.id), pieces, facts)
    except ConfigError:
        parts.discard()  # of data that cannot be used: other settings make others
        raise


def _ids(parts: Parts, number: int) -> list[str]:
    """Of the rows of a part."""
    return list(io.read_table(parts.beside(number, LISTED), ["id"])["id"].to_pylist())


@contextmanager
def _blamed(dataset: AbstractDataset) -> Iterator[None]:
    """What a library says of settings that do not fit the data."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"dataset {dataset.id}: {error}{place_outside(error)}") from error
