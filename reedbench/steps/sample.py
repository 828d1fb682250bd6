"""sample: EMA weights of a step -> results/samples/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>/.

Sample i is the same at any batch size: everything random about it comes from the stream of its index.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reedbench.core import io, paths, provenance, seeds
from reedbench.core.console import Track
from reedbench.core.errors import MissingArtefact
from reedbench.core.provenance import Made
from reedbench.core.ragged import Ragged
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of


def sample(suite: Suite, arguments: Namespace) -> Made:
    """Draw the benchmark's number of samples from one checkpoint."""
    b, m, k, step, s = arguments.benchmark, arguments.method, arguments.seed, arguments.step, arguments.sampler
    benchmark, sampler, objective = suite.benchmark(b), settings.sampler(suite, b, s), settings.method(suite, b, m)
    codec, size = benchmark.codec, benchmark.sampling.batch
    device = device_of(suite, b, "sample")
    torch.set_num_threads(benchmark.train.threads)
    segment = settings.segment_of(suite, b, step)
    receipt, folder = paths.receipt(b, m, k, segment), paths.segment(b, m, k, segment)
    weights = f"{folder}/{paths.step_name(step)}.safetensors"
    recipe = _recipe_of(suite, b, m, k, receipt)
    _check_weights(weights, receipt)
    data = paths.data(benchmark.dataset.id)
    provenance.require(paths.index(data), settings.key(settings.dataset(suite, benchmark.dataset.id)))
    facts = rows.index(data)
    network = _network(suite, b, facts, weights, device)
    asked = codec.asked(data, facts, benchmark.sampling.count, benchmark.sampling.streams)
    parts, order = [], _by_length(asked, codec.lengths_of)
    with Track(f"{b}/{m}/seed{k}/{step}/{s}", len(asked), unit="sample") as track, torch.no_grad():
        for begin in range(0, len(asked), size):
            index = order[begin : begin + size]
            chosen, streams = asked.take(index), _streams(benchmark.dataset.id, k, index)
            condition = {n: x.to(device) for n, x in codec.condition(chosen, facts, streams).items()}
            drawn = sampler.draw(network, condition, streams, objective)
            parts.append(codec.samples({name: x.cpu() for name, x in drawn.items()}, chosen))
            track.update(begin + len(index))
    samples, out = _joined(parts, order), paths.samples(b, m, k, step, s)
    with io.atomic_directory(out) as part:
        codec.write(part, samples)
        io.write_npz(part / paths.PREVIEW, {"arr_0": codec.preview(samples, asked)})
    notes = {"nfe": sampler.nfe(), "recipe": recipe}
    return Made([out], [receipt, weights, paths.index(data)], device=device, seeds=[k], notes=notes)


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


def _recipe_of(suite: Suite, b: str, m: str, k: int, receipt: str) -> str:
    """The key of the run's recipe, which the receipt must carry."""
    wanted, found = settings.key(settings.recipe(suite, b, m, k)), io.read_json(receipt).get("key")
    if found != wanted:
        raise MissingArtefact(
            f"{receipt}: the weights belong to recipe {found}, the configuration's is {wanted}; "
            f"train again: snakemake -f {receipt}"
        )
    return wanted


def _check_weights(file: str, receipt: str) -> None:
    """Refuse weights that are not those for which the receipt vouches.

    Raises:
        MissingArtefact: they are absent, or others.
    """
    name = Path(file).name
    wanted = io.read_json(receipt).get("weights", {}).get(name)
    if wanted is None:
        why = f"{receipt}: speaks of no {name} (train.save_every was edited since)"
    elif not Path(file).exists():
        why = f"{file}: no such file"
    elif (found := io.sha256(file)) != wanted:
        why = f"{file}: not the weights that its receipt names (sha256 {found[:12]}, the receipt says {wanted[:12]})"
    else:
        return
    raise MissingArtefact(f"{why}; publish its segment again: snakemake -f {receipt}")


def _network(suite: Suite, b: str, facts: dict[str, Any], file: str, device: str) -> Any:
    """The backbone with averaged weights, in eval mode."""
    benchmark = suite.benchmark(b)
    backbone = benchmark.backbone.build(benchmark.codec.shape(facts), facts)
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
