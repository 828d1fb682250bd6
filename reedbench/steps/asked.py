"""What samples are asked to be, and the streams from which everything random about them comes."""

from collections.abc import Callable, Sequence

import numpy as np

from reedbench.core import seeds
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Run


def asked_of(run: Run, count: int) -> Rows:
    """The conditions of `count` samples; classes that are drawn depend on the run's seed, and not on its method."""
    benchmark, codec, sampling = run.benchmark, run.benchmark.spec.codec, run.benchmark.spec.sampling
    facts = rows.index(benchmark.data)
    asked: Rows = codec.asked(benchmark.data, facts, count, sampling.streams)
    return asked if sampling.labels == "balanced" else codec.relabelled(asked, facts, streams_of(run, range(count)))


def asked_by(cell: Cell) -> Rows:
    """The conditions of a cell's samples: those that its benchmark scores, or one for each training row."""
    benchmark = cell.run.benchmark
    if not cell.of_training:
        return asked_of(cell.run, benchmark.spec.sampling.count)
    data = rows.read(benchmark.data, rows.TRAIN)
    asked: Rows = benchmark.spec.codec.asked_for(data.take(np.arange(len(data))))
    return asked


def streams_of(run: Run, index: Sequence[int] | np.ndarray, what: str = "sample") -> Callable[[str], seeds.RowStreams]:
    """By name, the streams of some samples."""
    return lambda name: seeds.rows(index, what, run.benchmark.dataset, run.seed, name)
