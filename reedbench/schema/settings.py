"""What each job depends on: the recipe of a run, the settings of a step, and which encoders and cells there are.

Everything here is a plain function of the configuration; Snakemake's input and params functions, the steps themselves
and `reedbench plan` all ask here.
"""

import math
from pathlib import Path
from typing import Any

from reedbench.core import io, paths, stores
from reedbench.core.errors import ConfigError, unknown
from reedbench.schema.benchmark import Resources
from reedbench.schema.suite import Suite
from reedbench.schema.versions import FIGURES, OF_ABLATIONS, VERSIONS, levelled

Settings = dict[str, Any]


def dataset(suite: Suite, name: str) -> Settings:
    """Settings of `prepare`."""
    plugin = suite.dataset(name)
    return {"step": VERSIONS["prepare"], "id": plugin.id, "dataset": plugin.identity()}


def captioner(suite: Suite, data: str, name: str) -> Settings:
    """Settings of `caption`."""
    plugin = suite.captioner(data, name)
    return {
        "step": VERSIONS["caption"],
        "captioner": plugin.identity(),
        "data": dataset(suite, data),
    }


def encoder(suite: Suite, data: str, name: str) -> Settings:
    """Settings of `pretrain`, `represent` and `statistics`, with everything that the encoder itself reads."""
    plugin = suite.encoder(data, name)
    captions = plugin.reads_captions_of()
    return {
        "step": {verb: VERSIONS[verb] for verb in ("pretrain", "represent")},
        "name": name,
        "encoder": plugin.identity(),
        "data": dataset(suite, data),
        "captions": None if captions is None else captioner(suite, data, captions),
        "reads": [encoder(suite, data, other) for other in suite.read_by(data, name).values()],
    }


def recipe(suite: Suite, b: str, m: str, k: int) -> Settings:
    """Exactly what changes the weights of a run: not its name, length, grid, evaluation, resources or labels."""
    benchmark = suite.benchmark(b)
    objective = method(suite, b, m)
    data = benchmark.dataset.id
    return {
        "seed": k,
        "step": VERSIONS["train"],
        "dataset": dataset(suite, data),
        "codec": benchmark.codec.recipe(),
        "backbone": benchmark.backbone.identity(),
        "objective": objective.identity(),
        "encoders": {name: encoder(suite, data, filed) for name, filed in encoders(suite, b, m, k).items()},
        "train": benchmark.train.identity(),
    }


def encoders(suite: Suite, b: str, m: str, k: int) -> dict[str, str]:
    """The encoders that a run reads: as its method calls them, and as they are filed."""
    data = dataset_of(suite, b)
    return {name: suite.encoder_of(data, name, k) for name in method(suite, b, m).encoders()}


def key(recipe_or_settings: Settings) -> str:
    """Twelve digits that name a recipe or the settings of a step."""
    return io.digest_of(recipe_or_settings)


def put_recipe(path: str, recipe: Settings, *, allowed: bool = True) -> bool:
    """Write a recipe where its content differs (so that an unchanged one keeps its time); says whether it wrote.

    Raises:
        ConfigError: it differs, and writing is not allowed.
    """
    text, file = io.canonical_json(recipe), Path(path)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    if not allowed:
        raise ConfigError(
            f"{path}: is not the recipe of this run (edited by hand?): run snakemake again, it restores it"
        )
    io.write_text(file, text, in_place=True, shared=True)  # no output of a job: its input
    return True


def method(suite: Suite, b: str, m: str) -> Any:
    """The objective of a method.

    Raises:
        ConfigError: there is no such method.
    """
    methods = suite.benchmark(b).methods
    if m not in methods:
        raise ConfigError(unknown("method", m, methods))
    return methods[m]


def sampler(suite: Suite, b: str, s: str) -> Any:
    """A sampler of a benchmark.

    Raises:
        ConfigError: there is no such sampler.
    """
    samplers = suite.benchmark(b).samplers
    if s not in samplers:
        raise ConfigError(unknown("sampler", s, samplers))
    return samplers[s]


def sampling(suite: Suite, b: str, s: str) -> Settings:
    """Settings of `sample`, beside the weights."""
    benchmark, plugin = suite.benchmark(b), sampler(suite, b, s)
    return {
        "step": VERSIONS["sample"],
        "sampler": plugin.identity(),
        "count": benchmark.sampling.count,
        **({"streams": benchmark.sampling.streams} if benchmark.codec.repeats else {}),
        "codec": benchmark.codec.identity(),
    }


def evaluation(suite: Suite, b: str) -> Settings:
    """Settings of `evaluate`."""
    benchmark = suite.benchmark(b)
    folders = {name: folder(suite, b, name) for metric in benchmark.metrics for name in metric.folders()}
    return {
        "step": VERSIONS["evaluate"],
        "metrics": [metric.identity() for metric in benchmark.metrics],
        "streams": benchmark.sampling.streams,
        "extractors": {name: encoder(suite, benchmark.dataset.id, name) for name in used_extractors(suite, b)},
        **({"folders": folders} if folders else {}),
    }


def folder(suite: Suite, b: str, name: str) -> Settings:
    """Settings of a folder."""
    plugin = suite.benchmark(b).folders[name]
    settings: Settings = plugin.identity()
    return settings


def reporting(suite: Suite, b: str, ablation: str | None) -> Settings:
    """Settings of `tabulate` and `plot`: what is shown, in what words."""
    benchmark, methods = suite.benchmark(b), shown(suite, b, ablation)
    baseline = benchmark.speedup.baseline
    title = benchmark.title if ablation is None else f"{benchmark.title}: {benchmark.ablations[ablation].title}"
    return {
        "step": {verb: VERSIONS[verb] for verb in ("tabulate", "plot")},
        "title": title,
        "baseline_label": benchmark.methods[baseline].label,
        "places": {name: place for place, name in enumerate(benchmark.methods) if name in {*methods, baseline}},
        "methods": {
            name: {"label": benchmark.methods[name].label, "note": benchmark.methods[name].note} for name in methods
        },
        "seeds": list(benchmark.seeds),
        "steps": list(benchmark.evaluate),
        "metrics": [metric.family for metric in benchmark.metrics],
        "columns": list(benchmark.columns),
        "titles": {
            metric.family: {"title": metric.heading, "direction": metric.direction, "unit": metric.unit}
            for metric in benchmark.metrics
        },
        "speedup": benchmark.speedup.plain(),
    }


def figures(suite: Suite, b: str, ablation: str | None = None) -> list[str]:
    """Figures of a benchmark or an ablation.

    `levels` only where a metric is taken at several times, `differences` only where there is a second method.
    """
    several = levelled(metric.family for metric in suite.benchmark(b).metrics)
    nothing = {"levels": not several, "differences": len(shown(suite, b, ablation)) < 2}
    return [name for name in FIGURES if not nothing.get(name)]


def ablation_figures(suite: Suite, b: str, ablation: str) -> list[str]:
    """Figures of an ablation that are made together with a benchmark's own."""
    return [name for name in figures(suite, b, ablation) if name in OF_ABLATIONS]


def used_extractors(suite: Suite, b: str) -> list[str]:
    """Extractors that some metric of the benchmark uses, in file order."""
    benchmark = suite.benchmark(b)
    used = {name for metric in benchmark.metrics for name in metric.extractors()}
    return [name for name in benchmark.extractors if name in used]


def segments(suite: Suite, b: str) -> int:
    """Number of segments of a run: the last evaluation step, rounded up to whole segments."""
    benchmark = suite.benchmark(b)
    last, length = int(max(benchmark.evaluate)), int(benchmark.train.segment)
    return math.ceil(last / length)


def segment_of(suite: Suite, b: str, step: int) -> int:
    """The segment whose weights include a step.

    Raises:
        ConfigError: no weights are saved at that step.
    """
    train = suite.benchmark(b).train
    length, every = int(train.segment), int(train.save_every)
    if step < 1 or step % every:
        raise ConfigError(f"step {step} is off the grid: weights are saved at multiples of train.save_every ({every})")
    return (step - 1) // length


def span(suite: Suite, b: str, i: int) -> tuple[int, int]:
    """First and last step (exclusive start, inclusive stop) of a segment."""
    length = int(suite.benchmark(b).train.segment)
    return i * length, (i + 1) * length


def save_points(suite: Suite, b: str, span: tuple[int, int]) -> list[int]:
    """Steps at which a segment's weights are saved and published."""
    return stores.save_points(*span, int(suite.benchmark(b).train.save_every))


def cells(suite: Suite, b: str, methods: tuple[str, ...]) -> list[tuple[str, int, int, str]]:
    """All (method, seed, step, sampler) of some methods of a benchmark, in table order."""
    benchmark = suite.benchmark(b)
    return [
        (m, k, step, s)
        for m in methods
        for k in benchmark.seeds
        for step in benchmark.evaluate
        for s in benchmark.samplers
    ]


def all_methods(suite: Suite, b: str) -> tuple[str, ...]:
    """Methods of the table and of every ablation, each once, in file order."""
    benchmark = suite.benchmark(b)
    wanted = set(benchmark.table).union(*(a.methods for a in benchmark.ablations.values()))
    return tuple(name for name in benchmark.methods if name in wanted)


def shown(suite: Suite, b: str, ablation: str | None) -> tuple[str, ...]:
    """Methods of a benchmark's table, or of one of its ablations.

    Raises:
        ConfigError: there is no such ablation.
    """
    benchmark = suite.benchmark(b)
    if ablation is None:
        return tuple(benchmark.table)
    if ablation not in benchmark.ablations:
        raise ConfigError(unknown("ablation", ablation, benchmark.ablations))
    return tuple(benchmark.ablations[ablation].methods)


def dataset_of(suite: Suite, b: str) -> str:
    """Dataset of a benchmark."""
    return str(suite.benchmark(b).dataset.id)


def first_benchmark_of(suite: Suite, data: str) -> str:
    """The first benchmark on a dataset: its resources serve the steps that several benchmarks share."""
    return next(name for name, benchmark in suite.benchmarks.items() if benchmark.dataset.id == data)


def resources(suite: Suite, b: str, step: str) -> Resources:
    """Resources of a step; training and sampling get at least the threads of the recipe."""
    benchmark = suite.benchmark(b)
    given: Resources = benchmark.resources.get(step, Resources())
    threads = benchmark.train.threads if step in ("train", "sample") else 1
    return given.model_copy(update={"cpus": max(given.cpus, threads)})


def encoder_gpus(suite: Suite, data: str, name: str) -> int:
    """GPUs with which an encoder represents: what the step asks for, and none where it can use none."""
    first = first_benchmark_of(suite, data)
    return resources(suite, first, "represent").gpus if suite.encoder(data, name).on_gpu else 0


def encoder_reads(suite: Suite, data: str, name: str) -> list[str]:
    """Files that an encoder reads beside the data: captions, and other encoders' weights."""
    plugin = suite.encoder(data, name)
    captions = plugin.reads_captions_of()
    files = [] if captions is None else [paths.captions(data, captions)]
    below = suite.read_by(data, name).values()
    return files + [file for other in below for file in encoder_weights(suite, data, other)]


def encoder_weights(suite: Suite, data: str, name: str) -> list[str]:
    """The encoder's own weights, where it is trained, and what it reads."""
    own = [paths.weights(paths.encoder(data, name))] if suite.encoder(data, name).pretrained else []
    return own + encoder_reads(suite, data, name)


def report_inputs(suite: Suite, b: str, ablation: str | None) -> list[str]:
    """Metric files and receipts of every cell of a table or an ablation, with the baseline's, and the floor."""
    methods = list(shown(suite, b, ablation))
    baseline = suite.benchmark(b).speedup.baseline
    wanted = cells(suite, b, (*methods, *([] if baseline in methods else [baseline])))
    runs = dict.fromkeys((m, k) for m, k, _, _ in wanted)
    files = [paths.metrics(b, *cell) for cell in wanted]
    files += [paths.receipt(b, m, k, i) for m, k in runs for i in range(segments(suite, b))]
    return [*files, paths.floor(b)]
