"""sample: EMA weights of a step -> results/samples/<b>/<m>/seed<k>/step-XXXXXXX/<sampler>/samples.npz.

Sample i is the same at any batch size: its noise comes from the stream of its index, its class is i mod classes.
"""

from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reedbench.core import io, paths, seeds
from reedbench.core.console import Track
from reedbench.core.errors import MissingArtefact
from reedbench.core.provenance import Made
from reedbench.domains import image, rows
from reedbench.nn.guidance import guided
from reedbench.nn.interpolants import INTERPOLANTS
from reedbench.samplers import AbstractSampler
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of

PREVIEW = 10  # samples that figures show


def sample(suite: Suite, arguments: Namespace) -> Made:
    """Draw the benchmark's number of samples from one checkpoint."""
    b, m, k, step, s = arguments.benchmark, arguments.method, arguments.seed, arguments.step, arguments.sampler
    benchmark, sampler = suite.benchmark(b), settings.sampler(suite, b, s)
    path = INTERPOLANTS[settings.method(suite, b, m).interpolant()]
    device = device_of(suite, b, "sample")
    torch.set_num_threads(benchmark.train.threads)
    segment = settings.segment_of(suite, b, step)
    receipt, folder = paths.receipt(b, m, k, segment), paths.segment(b, m, k, segment)
    weights = f"{folder}/{paths.step_name(step)}.safetensors"
    recipe = _recipe_of(suite, b, m, k, receipt)
    network, facts, shape = _network(suite, b, weights, receipt, device)
    count, size = benchmark.sampling.count, benchmark.sampling.batch
    labels = np.arange(count) % int(facts["classes"])
    drawn = []
    with Track(f"{b}/{m}/seed{k}/{step}/{s}", count, unit="sample") as track:
        for begin in range(0, count, size):
            index = range(begin, min(begin + size, count))
            y = torch.from_numpy(labels[index.start : index.stop]).to(device)
            field = _field(network, y, int(facts["classes"]), sampler)
            x_0, noise = _noise(b, k, index, shape, sampler, device)
            x_1 = sampler.run(field, x_0, path=path, noise=noise)
            drawn.append(benchmark.codec.decode(x_1.cpu().numpy()))
            track.update(index.stop)
    out, preview = paths.samples(b, m, k, step, s), paths.preview(b, m, k, step, s)
    images = np.concatenate(drawn)
    image.write_samples(preview, images[:PREVIEW], labels[:PREVIEW])
    image.write_samples(out, images, labels)
    notes = {"nfe": sampler.nfe(), "recipe": recipe}
    return Made([out, preview], [receipt, weights], device=device, seeds=[k], notes=notes)


def _recipe_of(suite: Suite, b: str, m: str, k: int, receipt: str) -> str:
    """The key of the run's recipe, which the receipt must carry."""
    wanted, found = settings.key(settings.recipe(suite, b, m, k)), io.read_json(receipt).get("key")
    if found != wanted:
        raise MissingArtefact(
            f"{receipt}: the weights belong to recipe {found}, the configuration's is {wanted}; "
            f"train again: snakemake -f {receipt}"
        )
    return wanted


def _network(suite: Suite, b: str, file: str, receipt: str, device: str) -> tuple[Any, dict[str, Any], tuple[int, ...]]:
    """The backbone with averaged weights, in eval mode, the dataset's facts and the shape of a latent."""
    benchmark = suite.benchmark(b)
    facts = rows.index(paths.data(benchmark.dataset.id))
    shape = benchmark.codec.shape(tuple(facts["shapes"]["images"]))
    backbone = benchmark.backbone.build(shape, facts)
    try:
        weights = io.read_tensors(file)
    except MissingArtefact as error:
        raise MissingArtefact(f"{error}; train its segment again: snakemake -f {receipt}") from error
    state = {n: torch.from_numpy(w) for n, w in weights.items() if not n.startswith("projectors.")}
    backbone.load_state_dict(state)
    return backbone.to(device).eval(), facts, shape


def _field(network: Any, y: Tensor, null_label: int, sampler: AbstractSampler) -> Callable[..., Tensor]:
    """The guided velocity of one batch, as samplers call it."""
    conditional = guided(lambda x, t, labels: network(x, t, labels)[0], null_label, sampler.guidance, sampler.interval)
    return lambda x, t, at: conditional(x, t, y, at=at)


def _noise(
    b: str, k: int, index: range, shape: tuple[int, ...], sampler: AbstractSampler, device: str
) -> tuple[Tensor, Callable[[int], Tensor]]:
    """Initial noise, and the noise of transition i, of the samples `index`; the same for every method and step."""
    streams = [seeds.stream("sample", b, k, i) for i in index]
    x_0 = torch.stack([torch.randn(shape, generator=stream) for stream in streams]).to(device)

    def transition(i: int) -> Tensor:
        # Samplers ask in order, so that each sample's stream runs on.
        fresh = [torch.randn(shape, generator=stream, dtype=torch.float64) for stream in streams]
        return torch.stack(fresh).to(device)

    return x_0, transition
