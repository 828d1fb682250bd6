"""Samples that others read: those that a cell is scored by, and a pool of them that a run is trained with."""

from typing import Any

from reedbench.core import io, paths, provenance
from reedbench.core.errors import MissingArtefact
from reedbench.core.ragged import joined
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Run
from reedbench.steps.compress import Compression
from reedbench.steps.features import passes
from reedbench.steps.precision import precise
from reedbench.steps.sample import check_weights
from reedbench.training.pool import PairedPool, Pool


def require_samples(cell: Cell) -> dict[str, Any]:
    """The sidecar of a cell's samples.

    Raises:
        MissingArtefact: they have not been drawn, or under other settings, or from weights of another recipe.
    """
    provenance.require(cell.samples, cell.sampling_key)
    said = provenance.read(cell.samples)
    if said["notes"].get("recipe") != cell.run.key:
        raise MissingArtefact(
            f"{cell.samples}: drawn from another recipe's weights; sample again: snakemake -f {cell.samples}"
        )
    return said


def prepared(run: Run, device: str) -> tuple[Pool | PairedPool | None, list[str]]:
    """The samples that a run sets against its data, as rows of these, and the files that were read.

    Raises:
        MissingArtefact: they were not drawn from the very weights that the run takes for its teacher.
        ConfigError: a class, or a row, has none.
    """
    if (cell := run.pool) is None:
        return None, []
    check_weights(cell)
    said, codec = require_samples(cell), run.benchmark.spec.codec
    if said["inputs"].get(cell.weights) != io.sha256(cell.weights):
        raise MissingArtefact(
            f"{cell.samples}: drawn from other weights than {cell.weights} are; sample again: "
            f"snakemake -f {cell.samples}"
        )
    samples = codec.read(cell.samples)
    if codec.pools_by == "rows":
        ids = rows.read(paths.data(run.benchmark.dataset), rows.TRAIN).ids
        return PairedPool(samples, codec, ids, cell.samples), [cell.samples]
    if codec.compresses:  # training rows went that way, too
        with precise("fp32", device, codec.uses):
            samples = _compressed(codec.on(device), samples)
    classes = range(max(1, int(rows.index(paths.data(run.benchmark.dataset))["classes"])))
    return Pool(samples, codec, classes, cell.samples), [cell.samples]


def _compressed(codec: Any, samples: Rows) -> Rows:
    """What the codec keeps of rows, some at a time."""
    work = Compression(codec, samples)
    chosen = [some for part in work.parts for some in passes(part, *work.sizes)]
    found = [codec.compressed(samples.take(some).arrays) for some in chosen]
    return Rows(samples.ids, samples.split, {name: joined([one[name] for one in found]) for name in found[0]})
