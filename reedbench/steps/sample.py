"""sample: EMA weights of a step -> results/samples/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>/.

Sample i is the same at any batch size: everything random about it comes from the stream of its index. Samples are drawn
in parts of whole batches; which rows share a batch depends on the settings alone, not on how many processes draw.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reedbench.core import divided, io, numerics, paths, provenance, shards, stores
from reedbench.core.errors import MissingArtefact
from reedbench.core.parts import Parts, even_cuts
from reedbench.core.provenance import Made
from reedbench.core.ragged import Ragged, joined
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.samplers import EVALUATIONS
from reedbench.schema.cells import Cell, Checkpoint
from reedbench.steps.asked import asked_by, streams_of
from reedbench.steps.device import device_of
from reedbench.steps.material import require_pinned
from reedbench.steps.precision import precise
from reedbench.steps.streamed import all_cpu_seconds, company, device_seconds, filled
from reedbench.steps.work import timed

PART = 256  # samples of a part, or the next number of whole batches
FEWEST = 8  # rows of a network call: products of fewer than four are rounded in another way, on a CPU


def sample(cell: Cell, arguments: Namespace) -> Made | None:
    """Draw the benchmark's number of samples from one checkpoint, on all processes; the first one records them."""
    cell.check_planned(arguments.recipe)
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    device = device_of(benchmark, "sample")
    torch.set_num_threads(spec.train.threads)
    check_weights(cell)
    require_pinned(benchmark.suite, spec.codec)
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    precision = spec.sampling.precision
    with company(device) as ranks, precise(precision, device, f"{benchmark.name}: sampling.precision"):
        with timed(device) as begun:
            drawing = Drawing(cell, device)
        inputs = [cell.receipt, cell.weights, data, *map(str, spec.codec.files())]
        decides = [
            cell.sampling_key,
            run.key,
            run.seed,
            {file: io.sha256(file) for file in inputs},
            drawing.plain,
            device,
        ]
        parts = Parts(("sample", *cell.path_names), decides, len(drawing.parts))
        with filled(parts, ranks, drawing.draw, [part.stop - part.start for part in drawing.parts], "sample"):
            seconds, cpu = device_seconds(parts, ranks, begun.seconds), all_cpu_seconds(ranks)
            if not ranks.first:
                return None
            nfe = drawing.publish(parts)
        under = numerics.here(device)
    notes = {"nfe": nfe, "recipe": run.key, "precision": precision}
    return Made(
        [cell.samples],
        inputs,
        device=device,
        device_seconds=seconds,
        cpu_seconds=cpu(),
        seeds=[run.seed],
        notes=notes,
        numerics=under,
        kept=parts,
    )


class Drawing:
    """The samples of a cell, in parts of the order in which they are drawn.

    Attributes:
        parts: rows of each part, in that order.
    """

    def __init__(self, cell: Cell, device: str) -> None:
        benchmark = cell.run.benchmark
        self.cell, self.device, self.codec = cell, device, benchmark.spec.codec.on(device)
        self.facts, asking = rows.index(benchmark.data), benchmark.spec.sampling
        self.network = network_of(cell, self.facts, device)
        self.asked = asked_by(cell)
        self.order = _by_length(self.asked, self.codec.lengths_of)
        self.batch = asking.batch
        # Rows are repeated only where that changes nothing in the others, and not where samples are coupled. Nor are
        # chains: their products have a row per residue, and a batch of one may be all that fits.
        self.fewest = FEWEST if self.codec.lengths_of is None and device == "cpu" and not cell.drawer.couples else 1
        self.parts = even_cuts(len(self.asked), 1, self.batch * -(-PART // self.batch))

    @property
    def plain(self) -> list[int]:
        """How samples are cut into batches and parts, as a plain value."""
        return [self.batch, *(part.stop for part in self.parts)]

    def draw(self, number: int, file: Path) -> None:
        """Draw one part, batch by batch."""
        chosen = self.order[self.parts[number]]
        batches = [self._batch(chosen[begin : begin + self.batch]) for begin in range(0, len(chosen), self.batch)]
        names = batches[0].arrays
        shards.write_part(file, {name: joined([batch.arrays[name] for batch in batches]) for name in names})

    @torch.no_grad()
    def _batch(self, index: np.ndarray) -> Rows:
        padded = np.concatenate([index, np.repeat(index[-1:], max(0, self.fewest - len(index)))])
        streams = streams_of(self.cell.run, padded, "pool" if self.cell.of_training else "sample")
        condition = self.codec.condition(self.asked.take(padded), self.facts, streams)
        condition = {name: x.to(self.device) for name, x in condition.items()}
        condition = self.cell.run.objective.conditioned(self.network, condition, streams)
        drawn = self.cell.drawer.draw(self.network, condition, streams, self.cell.run.objective)
        drawn = {name: x[: len(index)].cpu() for name, x in drawn.items()}
        with precise("fp32", self.device, self.codec.uses):  # a codec's networks have a precision of their own
            samples = self.codec.samples(drawn, self.asked.take(index))
        counted = {EVALUATIONS: drawn[EVALUATIONS].numpy()} if self._planned is None else {}
        return Rows(samples.ids, samples.split, {**samples.arrays, **counted})

    def publish(self, parts: Parts) -> float:
        """Write the samples, in the order of their numbers, and a preview of the first ones; returns their mean NFE."""
        samples = rows.of_parts(parts.files(), self.asked.ids, "sample", np.argsort(self.order))
        with io.atomic_directory(self.cell.samples) as folder:
            self.codec.write(folder, samples)
            preview = self.codec.preview(self.codec.read(folder), self.asked)
            io.write_npz(folder / paths.PREVIEW, {"arr_0": preview})
        return float(np.mean(samples.arrays[EVALUATIONS])) if self._planned is None else self._planned

    @property
    def _planned(self) -> int | None:
        nfe: int | None = self.cell.drawer.nfe(self.cell.run.objective)
        return nfe


def _by_length(asked: Rows, lengths_of: str | None) -> np.ndarray:
    """The order of drawing: rows of like length share a batch, so that little of it is padding."""
    array = asked.arrays.get(lengths_of or "")
    return np.argsort(array.lengths if isinstance(array, Ragged) else np.zeros(len(asked)), kind="stable")


def check_weights(cell: Checkpoint) -> None:
    """Refuse weights of another recipe, and those for which the receipt does not vouch.

    Raises:
        MissingArtefact: they are absent, or others.
    """
    receipt, file, name = cell.receipt, cell.weights, Path(cell.weights).name
    said = stores.receipt(receipt)
    if (found := said["key"]) != cell.run.key:
        raise MissingArtefact(
            f"{receipt}: the weights belong to recipe {found}, the configuration's is {cell.run.key}; "
            f"train again: snakemake -f {receipt}"
        )
    wanted = said["weights"].get(name)
    if wanted is None:
        why = f"{receipt}: speaks of no {name} (train.save_every was edited since)"
    elif not Path(file).exists():
        why = f"{file}: no such file"
    elif (found := io.sha256(file)) != wanted:
        why = f"{file}: not the weights that its receipt names (sha256 {found[:12]}, the receipt says {wanted[:12]})"
    else:
        return
    raise MissingArtefact(f"{why}; publish its segment again: snakemake -f {receipt}")


def network_of(cell: Checkpoint, facts: dict[str, Any], device: str) -> Any:
    """The network of a run with averaged weights of a step, in eval mode."""
    spec, file = cell.run.benchmark.spec, cell.weights
    network = cell.run.objective.network(spec.backbone.build(spec.codec.shape(facts), facts))
    weights = divided.read(file)
    _fill(network, {n: torch.from_numpy(w) for n, w in weights.items() if not n.startswith("projectors.")}, file)
    return network.to(device).eval()


def _fill(backbone: Any, weights: dict[str, torch.Tensor], file: str) -> None:
    """Give the backbone, or the network around it, its weights.

    Raises:
        MissingArtefact: they are not those of this backbone.
    """
    own = {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    faults = [f"'{name}' is absent" for name in own.keys() - given.keys()]
    faults += [f"the backbone has no '{name}'" for name in given.keys() - own.keys()]
    faults += [
        f"'{n}' is {given[n]}, in the backbone {own[n]}" for n in own.keys() & given.keys() if own[n] != given[n]
    ]
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise MissingArtefact(
            f"{file}: not the weights of this backbone: {sorted(faults)[0]}{more}; what a learner publishes beside the "
            "backbone must be called projectors.*"
        )
    backbone.load_state_dict(weights)
