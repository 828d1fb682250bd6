"""Mean hidden states of noised real images, which metrics may ask for: of a checkpoint, or before any training.

Rows and noise come from streams of the data set alone: every method, seed, step and sampler sees the same ones.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from reedbench.core import paths, provenance, seeds
from reedbench.core.errors import MetricError
from reedbench.domains import rows
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.metrics import Features, Hidden, Tapped
from reedbench.nn.interpolants import INTERPOLANTS
from reedbench.schema.runs import Benchmark, Cell
from reedbench.steps.sample import check_weights, network_of

BATCH = 250  # images per pass


def of_checkpoint(cell: Cell, tapped: Tapped) -> tuple[Hidden, list[str]]:
    """Hidden states under averaged weights, and the files that were read.

    Raises:
        MissingArtefact: data or weights are absent, or others.
        MetricError: there are fewer images than are asked for.
    """
    benchmark, objective = cell.run.benchmark, cell.run.objective
    check_weights(cell)
    network = network_of(benchmark.spec, _facts(benchmark), cell.weights, "cpu")
    block = min(objective.depths(), default=tapped.depth) if tapped.first else tapped.depth
    return _hidden(benchmark, network, tapped, block, objective.interpolant()), [cell.receipt, cell.weights]


def of_nothing(benchmark: Benchmark, tapped: Tapped) -> Hidden:
    """Those of a network as it is before training, under the first seed."""
    spec, facts = benchmark.spec, _facts(benchmark)
    network = spec.backbone.build(spec.codec.shape(facts), facts)
    network.initialise(lambda name: seeds.stream("init", benchmark.dataset, spec.seeds[0], name))
    path = next(iter(spec.methods.values())).interpolant()
    return _hidden(benchmark, network.eval(), tapped, tapped.depth, path)


def _facts(benchmark: Benchmark) -> dict[str, Any]:
    provenance.require(paths.index(benchmark.data), benchmark.data_key)
    return rows.index(benchmark.data)


def _hidden(benchmark: Benchmark, network: Any, tapped: Tapped, block: int, path: str) -> Hidden:
    asked = {TRAIN: tapped.train, TEST: tapped.test}
    parts = [
        _features(benchmark, network, _chosen(benchmark, split, n), split, tapped.at, block, path)
        for split, n in asked.items()
    ]
    return Hidden(*parts, block)


def _chosen(benchmark: Benchmark, split: str, count: int) -> Rows:
    """Some rows of a split, by a named stream."""
    there = rows.read(benchmark.data, split)
    if len(there) < count:
        raise MetricError(
            f"{benchmark.name}: a probe of hidden states asks for {count} images of the split '{split}', which has "
            f"{len(there)}: lower its {split}_rows"
        )
    return there.take(seeds.stream("probe", benchmark.dataset, split).permutation(len(there))[:count])


def _features(
    benchmark: Benchmark, network: Any, chosen: Rows, split: str, at: float, block: int, path: str
) -> Features:
    """Mean tokens after a block, float64, and classes."""
    with torch.no_grad():
        parts = list(_means(benchmark, network, chosen, split, at, block, path))
    return Features(np.concatenate(parts), chosen.arrays["labels"])


def _means(
    benchmark: Benchmark, network: Any, chosen: Rows, split: str, at: float, block: int, path: str
) -> Iterator[np.ndarray]:
    for begin in range(0, len(chosen), BATCH):
        index = range(begin, min(begin + BATCH, len(chosen)))
        x_1 = benchmark.spec.codec.batch(chosen.take(index).arrays)["x_1"]
        noise = torch.from_numpy(seeds.rows(index, "probe-noise", benchmark.dataset, split).normal(*x_1.shape[1:]))
        t = torch.full((len(index),), at)
        x_t = INTERPOLANTS[path].interpolate(noise, x_1, t)
        nothing = torch.full((len(index),), network.null_label)
        _, (hidden,) = network(x_t, t, nothing, taps=[block])
        yield hidden.mean(1).double().numpy()
