"""sample: EMA weights of a step -> results/samples/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>/.

Sample i is the same at any batch size: everything random about it comes from the stream of its index.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reedbench.core import io, paths, provenance, seeds, stores
from reedbench.core.console import Track
from reedbench.core.errors import MissingArtefact
from reedbench.core.provenance import Made
from reedbench.core.ragged import Ragged
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema.runs import Cell
from reedbench.steps.device import device_of
from reedbench.steps.material import require_pinned


def sample(cell: Cell, arguments: Namespace) -> Made:
    """Draw the benchmark's number of samples from one checkpoint."""
    cell.check_planned(arguments.recipe)
    run, benchmark, spec = cell.run, cell.run.benchmark, cell.run.benchmark.spec
    codec, size = spec.codec, spec.sampling.batch
    device = device_of(benchmark, "sample")
    torch.set_num_threads(spec.train.threads)
    check_weights(cell)
    require_pinned(benchmark.suite, codec)
    data = paths.index(benchmark.data)
    provenance.require(data, benchmark.data_key)
    facts = rows.index(benchmark.data)
    network = network_of(spec, facts, cell.weights, device)
    asked = codec.asked(benchmark.data, facts, spec.sampling.count, spec.sampling.streams)
    parts, order = [], _by_length(asked, codec.lengths_of)
    with Track(cell.title, len(asked), unit="sample") as track, torch.no_grad():
        for begin in range(0, len(asked), size):
            index = order[begin : begin + size]
            chosen, streams = asked.take(index), _streams(benchmark.dataset, run.seed, index)
            condition = {n: x.to(device) for n, x in codec.condition(chosen, facts, streams).items()}
            drawn = cell.drawer.draw(network, condition, streams, run.objective)
            parts.append(codec.samples({name: x.cpu() for name, x in drawn.items()}, chosen))
            track.update(begin + len(index))
    samples = _joined(parts, order)
    with io.atomic_directory(cell.samples) as part:
        codec.write(part, samples)
        io.write_npz(part / paths.PREVIEW, {"arr_0": codec.preview(samples, asked)})
    notes = {"nfe": cell.drawer.nfe(), "recipe": run.key}
    inputs = [cell.receipt, cell.weights, data, *map(str, codec.files())]
    return Made([cell.samples], inputs, device=device, seeds=[run.seed], notes=notes)


def _streams(dataset: str, k: int, index: np.ndarray) -> Callable[[str], seeds.RowStreams]:
    """By name, the streams of some samples."""
    return lambda name: seeds.rows(index, "sample", dataset, k, name)


def _by_length(asked: Rows, lengths_of: str | None) -> np.ndarray:
    """The order of drawing: rows of like length share a batch, so that little of it is padding."""
    array = asked.arrays.get(lengths_of or "")
    return np.argsort(array.lengths if isinstance(array, Ragged) else np.zeros(len(asked)), kind="stable")


def _joined(parts: list[Rows], order: np.ndarray) -> Rows:
    """All samples, the one that was drawn at place i of the order at row order[i]."""

    def join(name: str) -> Any:
        arrays = [part.arrays[name] for part in parts]
        if isinstance(arrays[0], Ragged):
            return Ragged.of([row for array in arrays for row in array])
        return np.concatenate(arrays)

    ids = [name for part in parts for name in part.ids]
    samples = Rows(ids, ["sample"] * len(ids), {name: join(name) for name in parts[0].arrays})
    in_place = bool((order == np.arange(len(order))).all())  # images, of which a copy may take gigabytes
    return samples if in_place else samples.take(np.argsort(order))


def check_weights(cell: Cell) -> None:
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


def network_of(spec: Any, facts: dict[str, Any], file: str, device: str) -> Any:
    """The backbone of a benchmark with averaged weights, in eval mode."""
    backbone = spec.backbone.build(spec.codec.shape(facts), facts)
    weights = io.read_tensors(file)
    _fill(backbone, {n: torch.from_numpy(w) for n, w in weights.items() if not n.startswith("projectors.")}, file)
    return backbone.to(device).eval()


def _fill(backbone: Any, weights: dict[str, torch.Tensor], file: str) -> None:
    """Give the backbone its weights.

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
