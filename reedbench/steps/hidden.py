"""Mean hidden states of noised real images, which metrics may ask for: of a checkpoint, or before any training.

Rows and noise come from streams of the data set alone: every method, seed, step and sampler sees the same ones. Every
cell computes those of its checkpoint anew, under each sampler: cells are jobs of their own, and share no file.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from reedbench.core import paths, provenance, seeds
from reedbench.core.errors import MetricError
from reedbench.domains import image, rows
from reedbench.domains.rows import TEST, TRAIN, Rows
from reedbench.metrics import Features, Hidden, Tapped
from reedbench.nn.interpolants import INTERPOLANTS
from reedbench.objectives import block_of
from reedbench.schema.cells import Cell
from reedbench.schema.runs import Benchmark
from reedbench.steps.features import in_passes, seen_by
from reedbench.steps.material import require_pinned
from reedbench.steps.precision import precise
from reedbench.steps.sample import check_weights, network_of

BATCH = 250  # images per pass


@dataclass(frozen=True)
class Look:
    """What is looked at: a block of a network, at a time on a path.

    Attributes:
        block: 1-based.
        path: from noise to data, a name of `INTERPOLANTS`.
        device: where it computes, and the codec's networks, if it has any.
    """

    benchmark: Benchmark
    tapped: Tapped
    network: Any
    block: int
    path: str
    device: str

    def hidden(self) -> Hidden:
        """Of the rows of both splits that are asked for.

        Raises:
            MetricError: there are fewer.
        """
        return Hidden(self._of(TRAIN, self.tapped.train), self._of(TEST, self.tapped.test), self.block)

    def _of(self, split: str, count: int) -> Features:
        """Mean tokens after the block, float64, and classes; of no rows nothing."""
        if not count:
            return Features(np.empty((0, 0)), np.empty(0, np.int64))
        chosen = _chosen(self.benchmark, split, count)
        with precise("fp32", self.device, f"{self.benchmark.name}: hidden states"):
            parts = [self._means(chosen, range(i, min(i + BATCH, count)), split) for i in range(0, count, BATCH)]
        return Features(np.concatenate(parts), image.classes_of(chosen))

    @torch.no_grad()
    def _means(self, chosen: Rows, index: range, split: str) -> np.ndarray:
        x_1 = self.benchmark.spec.codec.on(self.device).batch(chosen.take(index).arrays)["x_1"]
        streams = seeds.rows(index, "probe-noise", self.benchmark.dataset, split)
        t = torch.full((len(index),), self.tapped.at)
        x_t = INTERPOLANTS[self.path].interpolate(torch.from_numpy(streams.normal(*x_1.shape[1:])), x_1, t)
        nothing = torch.full((len(index),), self.network.null_label)
        given = (tensor.to(self.device) for tensor in (x_t, t, nothing))
        _, (hidden,) = self.network(*given, taps=[self.block])
        return hidden.mean(1).double().cpu().numpy()


def of_checkpoint(cell: Cell, tapped: Tapped, device: str) -> tuple[Hidden, list[str]]:
    """Hidden states under averaged weights, and the files that were read.

    Raises:
        MissingArtefact: data or weights are absent, or others.
        MetricError: there are fewer images than are asked for.
    """
    benchmark, objective = cell.run.benchmark, cell.run.objective
    check_weights(cell)
    read = _codec_files(benchmark)
    network = network_of(cell, _facts(benchmark), device)
    block = min(map(block_of, objective.depths()), default=tapped.depth) if tapped.first else tapped.depth
    network = benchmark.spec.backbone.cut(network, block)
    look = Look(benchmark, tapped, network, block, objective.interpolant(), device)
    return look.hidden(), [cell.receipt, cell.weights, *read]


def of_nothing(benchmark: Benchmark, tapped: Tapped, inputs: list[str], device: str) -> Hidden:
    """Those of a network as it is before training, under the first seed; what is read goes to `inputs`.

    Raises:
        MissingArtefact: data are absent, or others.
        MetricError: there are fewer images than are asked for.
    """
    spec, facts = benchmark.spec, _facts(benchmark)
    inputs += _codec_files(benchmark)
    network = spec.backbone.build(spec.codec.shape(facts), facts)
    network.initialise(lambda name: seeds.stream("init", benchmark.dataset, spec.seeds[0], name))
    network = spec.backbone.cut(network.eval().to(device), tapped.depth)
    path = next(iter(spec.methods.values())).interpolant()
    return Look(benchmark, tapped, network, tapped.depth, path, device).hidden()


def under(benchmark: Benchmark, extractor: str, count: int | None, inputs: list[str], device: str) -> Features:
    """The test images whose hidden states are looked at, or all, under an extractor; what is read goes to `inputs`.

    Raises:
        MissingArtefact: something has not been made, or was made under other settings.
        MetricError: there are fewer images than are asked for.
    """
    _facts(benchmark)
    chosen = rows.read(benchmark.data, TEST) if count is None else _chosen(benchmark, TEST, count)
    seen, read = seen_by(benchmark.suite, benchmark.dataset, extractor, chosen, device)
    inputs += read
    return in_passes(seen, chosen, device)


def _codec_files(benchmark: Benchmark) -> list[str]:
    """Files of the codec, through which networks see images.

    Raises:
        MissingArtefact: pinned ones have not been fetched.
    """
    codec = benchmark.spec.codec
    require_pinned(benchmark.suite, codec)
    return [str(file) for file in codec.files()]


def _facts(benchmark: Benchmark) -> dict[str, Any]:
    provenance.require(paths.index(benchmark.data), benchmark.data_key)
    return rows.index(benchmark.data)


def _chosen(benchmark: Benchmark, split: str, count: int) -> Rows:
    """Some rows of a split, by a named stream."""
    there = rows.read(benchmark.data, split)
    if len(there) < count:
        raise MetricError(
            f"{benchmark.name}: a look into the network asks for {count} images of the split '{split}', which has "
            f"{len(there)}: lower its {split}_rows"
        )
    return there.take(seeds.stream("probe", benchmark.dataset, split).permutation(len(there))[:count])
