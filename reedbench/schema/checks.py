"""What a benchmark file must satisfy beyond the types of its fields: names that exist, steps on the grid."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, get_args

from reedbench.core import pins
from reedbench.core.errors import Problem, unknown
from reedbench.encoders import EXTRACTED, Kind
from reedbench.objectives import Tap, block_of
from reedbench.schema.benchmark import Resources
from reedbench.schema.drawing import on_samplers
from reedbench.schema.encoder_names import SEEDED
from reedbench.schema.loading import Document, Key
from reedbench.schema.own_training import on_own_training
from reedbench.schema.variants import on_variants

Finding = tuple[Key, str]
RESERVED = "floor"  # what is known without a network, in metric records: real data, or the limits of a law
KINDS = get_args(Kind)
# Beyond these something was mistyped; the first is what a path can say.
LAST_STEP, MOST_SEGMENTS, LARGEST_BATCH, LARGEST_SEED = 10**7 - 1, 10_000, 10**6, 2**31 - 1
LONGEST_LABEL, LONGEST_TITLE = 60, 200


def check_benchmark(benchmark: Any, document: Document) -> list[Problem]:
    """All problems of one benchmark."""
    findings = chain(
        _sizes(benchmark),
        _words(benchmark),
        _grid(benchmark),
        on_own_training(benchmark),
        on_samplers(benchmark),
        _selections(benchmark),
        _alignments(benchmark),
        _encoders(benchmark),
        _metrics(benchmark),
        _speedup(benchmark),
        _columns(benchmark),
        _sampling(benchmark),
        _resources(benchmark),
        _domains(benchmark),
        on_variants(benchmark),
    )
    return [document.problem(key, message) for key, message in findings]


DIVIDED = ("prepare", "caption", "compress", "represent", "train", "sample", "evaluate")  # over processes
SHARED_STEPS = ("prepare", "caption", "pretrain", "compress", "represent")  # made once for all benchmarks on a dataset


def check_shared_names(benchmarks: Mapping[str, Any], documents: Mapping[str, Document]) -> list[Problem]:
    """Results are filed by dataset and name: equal names must mean equal settings in all benchmarks."""
    problems: list[Problem] = []
    first: dict[tuple[str, str, str], tuple[str, Any]] = {}
    for name, benchmark in benchmarks.items():
        entries = [("dataset", "", benchmark.dataset)]
        for section in ("captioners", "encoders", "extractors"):
            # Encoders and extractors share results/encoders/<dataset>/.
            entries += [(section, key, value) for key, value in getattr(benchmark, section).items()]
        if benchmark.codec.compresses:  # those that keep the same may differ in what they do with it
            entries.append(("codec", benchmark.codec.filed(), benchmark.codec.latents()))
        for section, key, value in entries:
            kind = "encoders" if section == "extractors" else section
            owner, known = first.setdefault((benchmark.dataset.id, kind, key), (name, value))
            if known != value:
                path: Key = (section, key) if key and section != "codec" else (section,)
                how = "give the folder of its weights another name" if section == "codec" else "rename it"
                message = f"differs from the one of the same name in benchmark '{owner}'; {how} or make them equal"
                problems.append(documents[name].problem(path, message))
    return problems


def check_shared_steps(benchmarks: Mapping[str, Any], documents: Mapping[str, Document]) -> list[Problem]:
    """Steps of a dataset run once: benchmarks that share it must ask for the same."""
    problems: list[Problem] = []
    first: dict[tuple[str, str], tuple[str, Any]] = {}
    for name, benchmark in benchmarks.items():
        for step in SHARED_STEPS:
            asked = benchmark.resources.get(step, Resources())
            owner, known = first.setdefault((benchmark.dataset.id, step), (name, asked))
            if known != asked:
                message = (
                    f"benchmark '{owner}' has the same dataset and asks for other resources; {step} runs once for "
                    "both: make them equal"
                )
                problems.append(documents[name].problem(("resources", step), message))
    return problems


def check_pins(
    benchmarks: Mapping[str, Any], documents: Mapping[str, Document], weights: Mapping[str, Any]
) -> list[Problem]:
    """Weights that are named must be pinned."""
    problems: list[Problem] = []
    for name, benchmark in benchmarks.items():
        for key, plugin in _readers(benchmark):
            for field, wanted in pins.named(plugin).items():
                if wanted not in weights:
                    message = unknown("weights", wanted, [*weights, *pins.words(plugin, field)])
                    problems.append(documents[name].problem((*key, field), f"{message}; a path has a /"))
    return problems


def _readers(b: Any) -> Iterator[tuple[Key, Any]]:
    """What may read weights from outside, and where it stands."""
    yield ("codec",), b.codec
    for section in ("captioners", "encoders", "extractors", "folders", "methods"):
        yield from (((section, name), plugin) for name, plugin in getattr(b, section).items())


def _sizes(b: Any) -> Iterator[Finding]:
    steps: list[tuple[Key, int]] = [(("train", name), getattr(b.train, name)) for name in ("segment", "save_every")]
    steps += [(("evaluate", i), step) for i, step in enumerate(b.evaluate)]
    limits = [(key, step, LAST_STEP) for key, step in steps]
    limits += [(("seeds", i), seed, LARGEST_SEED) for i, seed in enumerate(b.seeds)]
    limits += [(("train", name), getattr(b.train, name) or 0, LARGEST_BATCH) for name in ("batch", "tokens")]
    for key, value, limit in limits:
        if value > limit:
            yield key, f"must be at most {limit}, got {value:.4g}"
    last = max((step for step in b.evaluate if step <= LAST_STEP), default=0)
    if last > MOST_SEGMENTS * b.train.segment:
        yield ("train", "segment"), f"{b.train.segment} cuts a run of {last} steps into more than {MOST_SEGMENTS} jobs"


def _words(b: Any) -> Iterator[Finding]:
    texts: list[tuple[Key, str, int]] = [(("title",), b.title, LONGEST_TITLE)]
    texts += [(("ablations", name, "title"), ablation.title, LONGEST_TITLE) for name, ablation in b.ablations.items()]
    texts += [(("methods", name, "label"), method.label, LONGEST_LABEL) for name, method in b.methods.items()]
    texts += [(("methods", name, "note"), method.note or "-", LONGEST_TITLE) for name, method in b.methods.items()]
    for key, text, longest in texts:
        if not text.strip() or not text.isprintable() or len(text) > longest:
            yield key, f"must be one line of 1 to {longest} characters: it stands in tables and figures"


def _grid(b: Any) -> Iterator[Finding]:
    every = b.train.save_every
    if b.train.segment % every:
        yield ("train", "segment"), f"{b.train.segment} is not a multiple of train.save_every ({every})"
    for i, step in enumerate(b.evaluate):
        if step < 1 or step % every:
            yield (
                ("evaluate", i),
                f"step {step} is off the grid: evaluation steps are multiples of train.save_every ({every})",
            )
    if list(b.evaluate) != sorted(set(b.evaluate)):
        yield ("evaluate",), "must list increasing steps, each once"
    if len(set(b.seeds)) < len(b.seeds):
        yield ("seeds",), "must list each seed once"
    if any(seed < 0 for seed in b.seeds):
        yield ("seeds",), "must not be negative"
    if b.train.tokens is not None and b.codec.lengths_of is None:
        yield ("train", "tokens"), "is for data of different lengths; give train.batch"
    if b.train.tokens is not None and "batch" in b.train.model_fields_set:
        yield ("train", "batch"), "has no effect beside train.tokens; leave one of them out"
    if b.train.tokens is None and b.train.batch % b.train.accumulation:
        yield ("train", "accumulation"), f"must divide the batch ({b.train.batch})"


def _selections(b: Any) -> Iterator[Finding]:
    selections: list[tuple[Key, Any]] = [(("table",), b.table)]
    selections += [(("ablations", name, "methods"), a.methods) for name, a in b.ablations.items()]
    for key, methods in selections:
        for i, method in enumerate(methods):
            if method not in b.methods:
                yield (*key, i), unknown("method", method, b.methods)
        if len(set(methods)) < len(methods):
            yield key, "lists a method twice"
    if RESERVED in b.methods:
        yield ("methods", RESERVED), f"'{RESERVED}' is what reports call real data; choose another name"
    labels: dict[str, str] = {}
    for name, method in b.methods.items():
        if labels.setdefault(method.label, name) != name:
            yield ("methods", name, "label"), f"'{method.label}' is also the label of {labels[method.label]}"


def _alignments(b: Any) -> Iterator[Finding]:
    for name, method in b.methods.items():
        for where, encoder, kinds in method.reads():
            yield from _target(b, ("methods", name, *where), encoder, kinds or KINDS)
        for judge in method.judges():
            if judge in b.encoders and not b.encoders[judge].rewards:
                yield ("methods", name, "judge"), f"'{judge}' gives no probabilities of classes, which reward samples"
        for where, depth in method.taps():
            yield from _depth(b, ("methods", name, *where), depth)


def _target(b: Any, key: Key, encoder: str, kinds: Sequence[str] = KINDS) -> Iterator[Finding]:
    if encoder in b.extractors:
        yield key, f"'{encoder}' is an extractor: a metric must not judge by its own target"
    elif encoder not in b.encoders:
        yield key, unknown("encoder", encoder, b.encoders)
    elif (kind := b.encoders[encoder].kind) not in kinds:
        yield key, f"'{encoder}' gives {kind}, and this alignment takes {' or '.join(kinds)}"


def _depth(b: Any, key: Key, tap: Tap) -> Iterator[Finding]:
    if (depth := block_of(tap)) > b.backbone.blocks():
        yield key, f"{depth} is beyond the backbone, which has {b.backbone.blocks()} blocks"


def _encoders(b: Any) -> Iterator[Finding]:
    for section in ("encoders", "extractors"):
        for name in getattr(b, section):
            if SEEDED.fullmatch(name):
                yield (section, name), "names that end in .seed<number> are given to encoders with per_seed"
    for name, encoder in b.encoders.items():
        key: Key = ("encoders", name)
        captioner = encoder.reads_captions_of()
        if captioner is not None and captioner not in b.captioners:
            yield key, unknown("captioner", captioner, b.captioners)
        for other in encoder.reads_encoders():
            if other not in b.encoders:
                yield key, unknown("encoder", other, b.encoders)
            elif other == name or b.encoders[other].reads_encoders():
                yield key, f"reads '{other}', which is itself or itself reads encoders; read a basic encoder"
            elif b.encoders[other].per_seed and not encoder.per_seed:
                yield (*key, "per_seed"), f"reads '{other}', which is trained per seed: it must be so too"
    yield from _online(b)
    for name, extractor in b.extractors.items():
        yield from _reads_of_extractor(b, name, extractor)
        if extractor.per_seed:
            yield ("extractors", name, "per_seed"), "is for encoders: a metric needs the same extractor for all seeds"
        if extractor.kind not in EXTRACTED:
            yield ("extractors", name), f"gives {extractor.kind}, and an extractor gives {' or '.join(EXTRACTED)}"
    for name in sorted(set(b.encoders) & set(b.extractors)):
        yield ("extractors", name), "is also an encoder; a metric must not judge by an alignment target, use two names"


def _online(b: Any) -> Iterator[Finding]:
    """Only training asks encoders anew in every step: elsewhere it would change keys, and nothing else."""
    aligned = {encoder for method in b.methods.values() for _, encoder, _ in method.reads()}
    read = {other for encoder in b.encoders.values() for other in encoder.reads_encoders()} - aligned
    for name, extractor in b.extractors.items():
        if extractor.is_online:
            yield ("extractors", name, "mode"), "online is for encoders, which training asks in every step; take it out"
    for name in sorted(read & b.encoders.keys()):
        if b.encoders[name].is_online:
            yield (
                ("encoders", name, "mode"),
                f"online is for encoders that a method aligns to, and only other encoders read '{name}'; take it out",
            )


def _reads_of_extractor(b: Any, name: str, extractor: Any) -> Iterator[Finding]:
    key: Key = ("extractors", name)
    if extractor.reads_captions_of() is not None:
        yield key, f"{extractor.uses} reads captions, and samples have none"
        return
    for other in extractor.reads_encoders():
        if other in b.encoders:
            yield key, f"reads '{other}', which is an encoder: a metric must not judge by an alignment target"
        elif other not in b.extractors:
            yield key, unknown("extractor", other, b.extractors)
        elif other == name or b.extractors[other].reads_encoders():
            yield key, f"reads '{other}', which is itself or itself reads extractors; read a basic extractor"


def _metrics(b: Any) -> Iterator[Finding]:
    seen: set[str] = set()
    for i, metric in enumerate(b.metrics):
        key: Key = ("metrics", i)
        for name in dict.fromkeys((*metric.extractors(), *metric.witnesses())):
            if name not in b.extractors:
                yield (*key, metric.names_in), unknown("extractor", name, b.extractors)
                continue
            extractor, view = b.extractors[name], metric.view
            if metric.needs_classifier and not extractor.classifies:
                yield (*key, "extractor"), f"{metric.uses} needs an extractor that is a classifier, and {name} is none"
            if getattr(metric, "classes", "all") != "all" and not extractor.classifies:
                why = f"needs an extractor that is a classifier, and {name} is none"
                yield (*key, "classes"), f"{metric.classes} {why}"
            if view and view not in extractor.views:
                yield (*key, "extractor"), f"{metric.uses} needs an extractor that gives {view}, and {name} does not"
        for depth in metric.blocks():
            yield from _depth(b, (*key, "depth"), depth)
        if metric.blocks() and (joint := [name for name, method in b.methods.items() if method.joint]):
            yield (
                key,
                f"{metric.family} looks at noised images alone, and the network of method '{joint[0]}' also reads what "
                "it generates along with them: put that method into a benchmark of its own, or take the metric out",
            )
        for name in metric.folders():
            if name not in b.folders:
                yield (*key, "folder"), unknown("folder", name, b.folders)
        if (misfit := metric.misfit(b.sampling, b.samplers)) is not None:
            yield key, f"{metric.family}: {misfit}"
        if metric.family in seen:
            yield key, f"{metric.family} is listed twice"
        if b.sampling.count < metric.least_n():
            least = metric.least_n()
            yield key, f"{metric.family} needs at least {least} samples, sampling.count is {b.sampling.count}"
        seen.add(metric.family)


def _speedup(b: Any) -> Iterator[Finding]:
    families = [metric.family for metric in b.metrics]
    if b.speedup.metric not in families:
        yield ("speedup", "metric"), unknown("metric", b.speedup.metric, families)
    if b.speedup.baseline not in b.methods:
        yield ("speedup", "baseline"), unknown("method", b.speedup.baseline, b.methods)
    elif b.speedup.baseline not in b.table:
        yield ("speedup", "baseline"), f"'{b.speedup.baseline}' is not in table: the target must be among the rows"


def _columns(b: Any) -> Iterator[Finding]:
    families = [metric.family for metric in b.metrics]
    for i, name in enumerate(b.columns):
        if name not in families:
            yield ("columns", i), unknown("metric", name, families)
        elif name in b.columns[:i]:
            yield ("columns", i), f"'{name}' is listed twice"


def _sampling(b: Any) -> Iterator[Finding]:
    if b.sampling.count % b.sampling.streams:
        yield ("sampling", "streams"), f"must divide sampling.count ({b.sampling.count}) into equal parts"
    if b.sampling.labels != "balanced" and not b.codec.labelled:
        yield ("sampling", "labels"), f"{b.sampling.labels} is for samples of classes, and {b.codec.uses} asks for none"
    if b.sampling.precision == "tf32" and not b.resources.get("sample", Resources()).gpus:
        yield ("sampling", "precision"), "tf32 is for GPUs: set resources.sample.gpus, or take fp32 or bf16"
    if not b.resources.get("train", Resources()).gpus:
        if b.train.precision == "tf32":
            yield ("train", "precision"), "tf32 is for GPUs: set resources.train.gpus, or take fp32 or bf16"
        if b.train.compile:
            yield ("train", "compile"), "has no effect on a CPU: set resources.train.gpus, or take it out"


def _resources(b: Any) -> Iterator[Finding]:
    for step, resources in b.resources.items():
        key: Key = ("resources", step)
        processes = resources.nodes * resources.tasks_per_node
        least = processes * b.train.accumulation
        if resources.gpus and step not in _gpu_steps(b):
            yield (
                (*key, "gpus"),
                f"of this benchmark's steps only {' and '.join(_gpu_steps(b))} compute on a GPU so far; leave it out",
            )
        if 0 < resources.gpus < resources.tasks_per_node:
            yield (*key, "tasks_per_node"), f"each process needs a GPU of its own, and gpus is {resources.gpus}"
        if processes > 1 and step not in DIVIDED:
            several = "nodes" if resources.nodes > 1 else "tasks_per_node"
            yield (*key, several), f"only {', '.join(DIVIDED)} run on several processes so far; leave it out"
        if processes > 1 and step == "train" and b.train.tokens is None and b.train.batch < least:
            yield (
                ("train", "batch"),
                f"{b.train.batch} rows are too few for {processes} processes with train.accumulation "
                f"{b.train.accumulation}: it takes at least {least}",
            )


def _gpu_steps(b: Any) -> list[str]:
    """Large captioners and encoders, and what is made of what these make, autoencoders, predicted structures and
    distances of many rows need a GPU; all else would leave it idle."""
    captions = any(captioner.on_gpu for captioner in b.captioners.values())
    represents = any(encoder.on_gpu for encoder in b.encoders.values())
    encoders = {**b.encoders, **b.extractors}
    pretrains = any(
        one.studies_on_gpu or any(encoders[other].on_gpu for other in one.reads_encoders() if other in encoders)
        for one in encoders.values()
        if one.pretrained
    )
    compresses = b.codec.compresses
    evaluates = b.folders or any(one.on_gpu for one in (*b.metrics, *b.extractors.values()))
    asked = (("caption", captions), ("pretrain", pretrains), ("compress", compresses), ("represent", represents))
    shared = [verb for verb, does in asked if does]
    return [*shared, "train", "sample", *(["evaluate"] if evaluates else [])]


def _domains(b: Any) -> Iterator[Finding]:
    named: list[tuple[Key, Any]] = [(("codec",), b.codec), (("backbone",), b.backbone)]
    for section in ("captioners", "encoders", "extractors", "folders", "methods", "samplers"):
        named += [((section, name), plugin) for name, plugin in getattr(b, section).items()]
    named += [(("metrics", i), metric) for i, metric in enumerate(b.metrics) if metric.domain is not None]
    for key, plugin in named:
        if plugin.domain != b.dataset.domain:
            yield key, f"{plugin.uses} is for domain '{plugin.domain}', the dataset is '{b.dataset.domain}'"
