"""train: one segment of a run -> receipt, EMA weights on the save grid, curve.csv."""

import time
from argparse import Namespace

import torch

from reedbench.core import paths, provenance, seeds
from reedbench.core.console import say
from reedbench.core.errors import ConfigError, place_outside
from reedbench.core.provenance import Made
from reedbench.schema import settings
from reedbench.schema.suite import Suite
from reedbench.steps.device import device_of
from reedbench.training.checkpoint import Store
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks, joined
from reedbench.training.segments import Segment, train_segment
from reedbench.training.trainer import Trainer


def train(suite: Suite, arguments: Namespace) -> Made | None:
    """Train a segment, from the newest usable state of the same recipe, on all ranks; the first one records it."""
    b, m, k, i = arguments.benchmark, arguments.method, arguments.seed, arguments.segment
    began = time.monotonic()
    device = device_of(suite, b, "train")
    torch.set_num_threads(suite.benchmark(b).train.threads)
    with joined(device) as ranks:
        ranks.lead(lambda: _put_recipe(suite, arguments))
        trainer, inputs = build(suite, b, m, k, ranks)
        segment = plan(suite, b, m, k, i)
        trained = train_segment(trainer, Store(paths.store(b, m, k, segment.key)), segment)
        cpu_seconds = ranks.total(torch.tensor(provenance.cpu_seconds(), dtype=torch.float64)).item()
    if not ranks.first:
        return None
    inputs = [paths.recipe(b, m, k), *([segment.previous] if segment.previous else []), *inputs]
    return Made(
        [segment.receipt, segment.out],
        inputs,
        device=_device_name(ranks),
        device_seconds=ranks.world * (time.monotonic() - began),
        cpu_seconds=cpu_seconds,
        seeds=[k],
        notes={"run_costs": trained.costs, "key": segment.key, "ranks": ranks.world},
        numerics=trained.numerics,
    )


def _put_recipe(suite: Suite, arguments: Namespace) -> bool:
    """Write the recipe where a step is run by hand: Snakemake has done so when it planned the job."""
    b, m, k = arguments.benchmark, arguments.method, arguments.seed
    file = paths.recipe(b, m, k)
    if wrote := settings.put_recipe(file, settings.recipe(suite, b, m, k), allowed=not arguments.expect):
        say(f"{file}: new recipe")
    return wrote


def build(suite: Suite, b: str, m: str, k: int, ranks: Ranks) -> tuple[Trainer, list[str]]:
    """The trainer of a run at step 0, and the files that it read.

    Raises:
        MissingArtefact: data or representations have not been made, or were made under other settings.
        ConfigError: the backbone does not fit the data, the batch the ranks, or the samples the test split.
    """
    benchmark, objective = suite.benchmark(b), settings.method(suite, b, m)
    dataset = benchmark.dataset.id
    filed = settings.encoders(suite, b, m, k)
    folders = {name: paths.representation(dataset, other) for name, other in filed.items()}
    provenance.require(paths.index(paths.data(dataset)), settings.key(settings.dataset(suite, dataset)))
    for name, folder in folders.items():
        provenance.require(paths.index(folder), settings.key(settings.encoder(suite, dataset, filed[name])))
    data = TrainingData(paths.data(dataset), folders, benchmark.codec)
    benchmark.codec.check_asked(data.facts, benchmark.sampling.count, benchmark.sampling.streams)
    try:
        backbone = benchmark.backbone.build(data.shape(), data.facts)
    except ValueError as error:
        raise ConfigError(
            f"backbone {benchmark.backbone.name()} does not fit {dataset}: {error}{place_outside(error)}"
        ) from error
    learner = objective.build(backbone, data.target_shapes(), lambda name: seeds.stream("init", dataset, k, name))
    trainer = Trainer(learner, data, benchmark.train, dataset, k, ranks)
    inputs = [paths.index(folder) for folder in (paths.data(dataset), *folders.values())]
    return trainer, inputs


def plan(suite: Suite, b: str, m: str, k: int, i: int) -> Segment:
    """Steps, intervals and paths of a segment."""
    benchmark = suite.benchmark(b)
    start, stop = settings.span(suite, b, i)
    return Segment(
        key=settings.key(settings.recipe(suite, b, m, k)),
        start=start,
        stop=stop,
        save_every=benchmark.train.save_every,
        log_every=benchmark.bookkeeping.log_every,
        state_every=benchmark.bookkeeping.state_every,
        out=paths.segment(b, m, k, i),
        receipt=paths.receipt(b, m, k, i),
        previous=paths.receipt(b, m, k, i - 1) if i else None,
        title=f"{b}/{m}/seed{k}",
    )


def _device_name(ranks: Ranks) -> str:
    one = torch.cuda.get_device_name() if ranks.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return one if ranks.world == 1 else f"{ranks.world} x {one}"
