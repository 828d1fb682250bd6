"""train: one segment of a run -> receipt, EMA weights on the save grid, curve.csv."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from reedbench.core import devices, paths, provenance, seeds
from reedbench.core.clock import Stopwatch
from reedbench.core.console import say
from reedbench.core.errors import ConfigError, place_outside
from reedbench.core.provenance import Made
from reedbench.domains import rows
from reedbench.domains.rows import Rows
from reedbench.encoders import Material, Online
from reedbench.schema import settings
from reedbench.schema.runs import Run
from reedbench.steps import grounds, imported, pooled, taught
from reedbench.steps.device import device_of
from reedbench.steps.material import require_pinned, weights_of
from reedbench.steps.precision import products
from reedbench.training.checkpoint import Store
from reedbench.training.loaders import TrainingData
from reedbench.training.ranks import Ranks, joined
from reedbench.training.segments import Segment, train_segment
from reedbench.training.trainer import Trainer


def train(run: Run, arguments: Namespace) -> Made | None:
    """Train a segment, from the newest usable state of the same recipe, on all ranks; the first one records it.

    Weights from outside are converted instead.
    """
    watch = Stopwatch.start()
    if arguments.grid not in ("", grid := run.course.grid(arguments.segment)):
        raise ConfigError(
            f"{run.title}: train.segment or train.save_every changed since this job was planned (segment {grid}, "
            f"planned {arguments.grid}): run snakemake again"
        )
    if run.trained and not run.course.has(arguments.segment):
        raise ConfigError(f"{run.title}: ends at step {run.course.total}, and has no segment {arguments.segment}")
    if not run.trained:
        with joined("cpu") as ranks:
            return _converted(run, arguments) if ranks.first else None
    device = device_of(run.benchmark, "train")
    torch.set_num_threads(run.benchmark.spec.train.threads)
    precision = run.benchmark.spec.train.precision
    with joined(device) as ranks, products(precision, device, f"{run.benchmark.name}: train.precision"):
        ranks.lead(lambda: _put_recipe(run, allowed=not arguments.expect))
        trainer, inputs = build(run, ranks)
        ranks.lead(lambda: grounds.check(run))
        segment = plan(run, arguments.segment)
        trained = train_segment(trainer, Store(run.store.folder), segment)
        spent = torch.tensor([watch.device_seconds(device), provenance.cpu_seconds()], dtype=torch.float64)
        device_seconds, cpu_seconds = ranks.total(spent).tolist()
    if not ranks.first:
        return None
    inputs = [run.recipe_file, *([segment.previous] if segment.previous else []), *inputs]
    return Made(
        [segment.receipt, segment.out],
        inputs,
        device=_device_name(ranks),
        device_seconds=device_seconds,
        cpu_seconds=cpu_seconds,
        seeds=[run.seed],
        notes={
            "run_costs": trained.costs,
            "key": segment.key,
            "ranks": ranks.world,
            "peak_flops": devices.peak(torch.cuda.get_device_name()) if device == "cuda" else None,
        },
        numerics=trained.numerics,
    )


def _converted(run: Run, arguments: Namespace) -> Made:
    _put_recipe(run, allowed=not arguments.expect)
    return imported.publish(run, arguments.segment)


def _put_recipe(run: Run, *, allowed: bool) -> bool:
    """Write the recipe where a step is run by hand: Snakemake has done so when it planned the job."""
    if wrote := settings.put_recipe(run.recipe_file, run.recipe, allowed=allowed):
        say(f"{run.recipe_file}: new recipe")
    return wrote


def build(run: Run, ranks: Ranks) -> tuple[Trainer, list[str]]:
    """The trainer of a run at step 0, and the files that it read.

    Raises:
        MissingArtefact: data or representations have not been made, or were made under other settings.
        ConfigError: the backbone does not fit the data, the batch the ranks, or the samples the test split.
    """
    benchmark, spec = run.benchmark, run.benchmark.spec
    require_pinned(benchmark.suite, spec.codec)
    folders = {name: paths.representation(benchmark.dataset, filed) for name, filed in run.cached.items()}
    provenance.require(paths.index(benchmark.data), benchmark.data_key)
    for name, filed in run.cached.items():
        provenance.require(paths.index(folders[name]), benchmark.encoder_key(filed))
    online, asked = _online(run, ranks.device)
    if benchmark.latents is not None:
        provenance.require(paths.index(benchmark.latents), benchmark.latents_key)
    pool, of_pool = pooled.prepared(run, ranks.device)
    data = TrainingData(benchmark.data, folders, spec.codec, benchmark.latents, online, pool)
    spec.codec.check_asked(data.facts, spec.sampling.count, spec.sampling.streams)
    try:
        backbone = spec.backbone.build(data.shape(), data.facts)
    except ValueError as error:
        raise ConfigError(
            f"backbone {spec.backbone.name()} does not fit {benchmark.dataset}: {error}{place_outside(error)}"
        ) from error
    learner = run.objective.build(
        backbone, data.target_shapes(), lambda name: seeds.stream("init", benchmark.dataset, run.seed, name)
    )
    for name, filed in run.judges.items():
        judge, files = _judge(run, filed)
        run.objective.rewarded(learner, {name: judge})
        asked += files
    teacher, of_teacher = taught.prepared(run, learner, data.facts)
    trainer = Trainer(learner, data, run.training, benchmark.dataset, run.seed, ranks, teacher)
    made = [] if benchmark.latents is None else [benchmark.latents]
    read = [paths.index(folder) for folder in (benchmark.data, *made, *folders.values())]
    return trainer, [*read, *asked, *of_teacher, *of_pool, *map(str, spec.codec.files())]


def _online(run: Run, device: str) -> tuple[dict[str, Online], list[str]]:
    """The encoders that training asks in every step, ready on a device, and the files that they read."""
    suite, dataset = run.benchmark.suite, run.benchmark.dataset
    found: dict[str, Online] = {}
    files: list[str] = []
    for name, filed in run.online.items():
        weights, read = weights_of(suite, dataset, filed)
        made = suite.encoder(dataset, filed).online(weights, rows.index(run.benchmark.data), device)
        compiled = run.benchmark.spec.train.compile and device == "cuda"
        encode = torch.compile(made.encode) if compiled else made.encode
        found[name] = replace(made, encode=partial(_in_float32, encode, device, filed))
        files += read
    return found, files


def _judge(run: Run, filed: str) -> tuple[Callable[[Any], Any], list[str]]:
    """A classifier of finished samples: of latents the log-probabilities of classes; and the files that it reads."""
    suite, dataset, codec = run.benchmark.suite, run.benchmark.dataset, run.benchmark.spec.codec
    weights, read = weights_of(suite, dataset, filed)
    encoder = suite.encoder(dataset, filed)

    def log_probabilities(latents: torch.Tensor) -> torch.Tensor:
        n = len(latents)
        asked = Rows([str(i) for i in range(n)], ["sample"] * n, {"labels": np.zeros(n, np.int64)})
        images = codec.samples({"x_1": latents.cpu()}, asked)
        found = encoder.log_probabilities(weights, Material(images))
        return torch.from_numpy(found).to(latents)

    return log_probabilities, read


def _in_float32(encode: Callable[[Any], Any], device: str, name: str, images: Any) -> Any:
    """As it would make representations that are kept, whatever training computes in."""
    with products("fp32", device, name):
        return encode(images)


def plan(run: Run, i: int) -> Segment:
    """Steps, intervals and paths of a segment."""
    spec = run.benchmark.spec
    start, stop = run.course.span(i)
    return Segment(
        key=run.key,
        start=start,
        stop=stop,
        save_every=spec.train.save_every,
        log_every=spec.bookkeeping.log_every,
        state_every=spec.bookkeeping.state_every,
        out=run.segment(i),
        receipt=run.receipt(i),
        previous=run.receipt(i - 1) if i else None,
        title=run.title,
    )


def _device_name(ranks: Ranks) -> str:
    one = torch.cuda.get_device_name() if ranks.device == "cuda" else f"cpu, {torch.get_num_threads()} threads"
    return one if ranks.world == 1 else f"{ranks.world} x {one}"
