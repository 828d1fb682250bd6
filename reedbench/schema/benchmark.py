"""The models of a benchmark file. The docstrings of their fields are the reference in config/README.md."""

from functools import cache
from types import GenericAlias
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model

from reedbench.core import plugins
from reedbench.core.frozen import Frozen
from reedbench.objectives._own import Optimiser

Name = Annotated[str, Field(pattern=f"^{plugins.NAME}$")]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
HeavyStep = Literal["prepare", "caption", "pretrain", "compress", "represent", "train", "sample", "evaluate"]


class Resources(Frozen):
    """What a job of one step asks for, inline and on a cluster. Never part of a recipe."""

    gpus: int = Field(0, ge=0, le=1024)
    """GPUs per node; 0 runs on the CPU even where a GPU is visible."""
    nodes: int = Field(1, ge=1, le=100_000)
    """Nodes that the job asks for; the launcher `inline` has one."""
    tasks_per_node: int = Field(1, ge=1, le=1024)
    """Processes per node; the launcher `inline` has one."""
    cpus: int = Field(1, ge=1, le=4096)
    """CPU cores, and threads of the step."""
    mem_mb: int = Field(2000, ge=1, le=100_000_000)
    """Memory in MB."""
    runtime: int = Field(60, ge=1, le=1_000_000)
    """Time limit in minutes."""


class Training(Frozen):
    """How every method of the benchmark is trained."""

    unkeyed: ClassVar[frozenset[str]] = frozenset({"accumulation", "compile", "threads", "segment", "save_every"})

    batch: int = Field(256, ge=1)
    """Global batch: rows per optimizer step over all ranks and micro-batches."""
    tokens: int | None = Field(None, ge=1)
    """In place of `batch`, for data of different lengths: entries (residues) per step, padding included. Rows of like
    length are packed together, and none is left out."""
    accumulation: int = Field(1, ge=1)
    """Micro-batches per step; another number rounds differently."""
    optimiser: Optimiser = Optimiser()
    """Optimiser settings."""
    ema_decay: float = Field(0.9999, ge=0, lt=1)
    """Decay of the weight average, per step; samples come from the average."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of the network: `tf32` rounds the factors of matrix products, on GPUs alone; `bf16` runs it under autocast.
    Weights and losses stay fp32."""
    compile: bool = False
    """On GPUs, let torch's compiler make kernels for the network, which rounds differently: it takes some minutes at
    the start of every job, once per shape of a batch."""
    threads: int = Field(1, ge=1)
    """CPU threads; another number rounds differently."""
    segment: int = Field(ge=1)
    """Steps per job; must be a multiple of save_every."""
    save_every: int = Field(ge=1)
    """Grid of published weights; evaluation steps lie on it."""


class Bookkeeping(Frozen):
    """What training writes down; none of it changes weights."""

    log_every: int = Field(50, ge=1)
    """Steps per row of the curve (a mean over them)."""
    state_every: int = Field(1000, ge=1)
    """Steps between resumable states beside those at save points."""


class Sampling(Frozen):
    """How many samples are drawn from each checkpoint."""

    count: int = Field(50_000, ge=2, le=10_000_000)
    """Samples per checkpoint; the codec says what each of them is asked to be."""
    streams: int = Field(1, ge=1, le=10_000)
    """Disjoint parts of equal size over which the sampling spread is taken; fewer than three give none. The codec says
    whether each part is asked for the same."""
    batch: int = Field(128, ge=1, le=1_000_000)
    """Samples per network call; changes nothing in the samples but rounding, and on the CPU mostly not even that. Only
    `dopri5` with `norm: reference` couples them."""
    labels: Literal["balanced", "random"] = "balanced"
    """Classes that samples are asked for: `balanced` in equal shares, sample i of class i mod classes; `random` each
    uniformly from its own stream, as REPA and REED generate: seeds differ in their shares, methods do not."""
    precision: Literal["fp32", "tf32", "bf16"] = "fp32"
    """Of the network while it samples: `tf32` rounds the factors of matrix products, on GPUs alone; `bf16` runs it
    under autocast. The sampler's own state stays float64."""


class Speedup(Frozen):
    """The training speed-up: how much less a method costs than the baseline at equal quality."""

    metric: str
    """One of the metrics by its full name, as in `fd@digits-clf` or `recovery@state`."""
    baseline: str
    """Method that speed-ups and paired differences are to."""


class Ablation(Frozen):
    """A named selection of methods: one question, one small table."""

    title: str
    """The question."""
    methods: tuple[Name, ...] = Field(min_length=1)
    """Methods whose rows answer it."""


class BenchmarkBase(Frozen):
    """One comparison: one backbone, one data set, several methods, one table."""

    title: str
    """Heading of the report."""
    description: str = ""
    """What the benchmark shows, and what it does not."""
    seeds: tuple[int, ...] = Field(min_length=1)
    """Training seeds; at equal seed all methods share data order, noise, times and label dropout."""
    train: Training
    """Training settings shared by all methods."""
    bookkeeping: Bookkeeping = Bookkeeping()
    """Curve and state intervals."""
    evaluate: tuple[int, ...] = Field(min_length=1)
    """Steps at which samples are drawn and scored; multiples of train.save_every."""
    only_at: dict[Name, tuple[int, ...]] = Field({})
    """Samplers that draw at some of these steps alone, by name: such as guided ones, which cost twice, at the last. The
    others draw at all of them, and all draw from imported weights."""
    sampling: Sampling = Sampling()
    """Number of samples."""
    table: tuple[Name, ...] = Field(min_length=1)
    """Methods of results/tables/<benchmark>.csv, in order."""
    columns: tuple[str, ...] = ()
    """Metrics that the readable tables (.md, .tex, `reedbench summary`) show, by their full names and in this order;
    all of them where it is left out. The .csv has all in any case."""
    ablations: dict[Name, Ablation] = Field({})
    """Further tables, results/ablations/<benchmark>/<name>.csv."""
    speedup: Speedup
    """What the speed-up is measured on."""
    resources: dict[HeavyStep, Resources] = Field({})
    """Per step; see Resources for the defaults."""


def _union(kind: str) -> Any:
    """The discriminated union of all plugins of a kind: `uses` is required even where there is only one."""
    members = tuple(plugins.discover(kind).values())
    return Annotated[plugins_union(members), Field(discriminator="uses")]


def plugins_union(members: tuple[Any, ...]) -> Any:
    """`A | B | C` of classes known only at run time."""
    union = members[0]
    for member in members[1:]:
        union = union | member
    return union


def _named(kind: Any) -> Any:
    """A mapping from names to plugins of a kind."""
    return GenericAlias(dict, (Name, kind))


@cache
def model() -> type[BenchmarkBase]:
    """The model of a benchmark file, built over the discovered plugins."""
    docs = {
        "dataset": "Where the rows come from.",
        "codec": "Data to the backbone's space and back.",
        "captioners": "Sources of text, by name.",
        "encoders": "Sources of representations that methods align to, by name.",
        "extractors": "Encoders that metrics use, by name; never one that a method is aligned to.",
        "backbone": "The network that every method trains.",
        "methods": "Objectives with settings, by name; `base: other` starts from another method's settings.",
        "samplers": "How noise becomes samples, by name.",
        "metrics": "What is measured on the samples, each under one extractor or folder, or directly.",
        "folders": "Sources of predicted structures that metrics of proteins use, by name.",
    }
    one: Any = {kind: _union(kind) for kind in plugins.KINDS}
    fields: dict[str, Any] = {
        "dataset": (one["datasets"], ...),
        "codec": (one["codecs"], ...),
        "captioners": (_named(one["captioners"]), {}),
        "encoders": (_named(one["encoders"]), {}),
        "extractors": (_named(one["encoders"]), {}),
        "folders": (_named(one["folders"]), {}),
        "backbone": (one["backbones"], ...),
        "methods": (_named(one["objectives"]), ...),
        "samplers": (_named(one["samplers"]), ...),
        "metrics": (GenericAlias(tuple, (one["metrics"], ...)), ...),
    }
    described = {name: (kind, Field(default, description=docs[name])) for name, (kind, default) in fields.items()}
    built: type[BenchmarkBase] = create_model(
        "Benchmark", __base__=BenchmarkBase, __doc__=BenchmarkBase.__doc__, **described
    )  # type: ignore[call-overload]
    return built


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a benchmark file, for editors."""
    schema = model().model_json_schema()
    schema["$schema"] = DIALECT
    schema["title"] = "reedbench benchmark"
    for entry in schema["$defs"].values():
        if "uses" in entry["properties"]:
            entry["required"] = sorted({"uses", *entry.get("required", [])})
    for section in schema["properties"].values():
        if "patternProperties" in section:
            section["additionalProperties"] = False  # a name that does not fit the pattern is no name
    base = {"type": "object", "required": ["base"], "properties": {"base": {"type": "string"}}}
    named = schema["properties"]["methods"]["patternProperties"]
    teacher = {key: {"type": "string"} for key in ("benchmark", "method")} | {"step": {"type": "integer"}}
    each = {"type": "object", "additionalProperties": {"type": "array"}}
    for pattern, objective in named.items():
        entry = {"anyOf": [objective, base]}
        of_rounds = {
            "times": {"type": "integer", "minimum": 1},
            "of": {"type": "object"},
            "first": {"type": "object", "required": ["method", "step"], "properties": teacher},
            "each": each,
        }
        inside = {"type": "object", "required": ["times", "of", "first"], "properties": of_rounds}
        rounds = {"type": "object", "required": ["rounds"], "properties": {"rounds": inside}}
        named[pattern] = {"anyOf": [*entry["anyOf"], {**rounds, "additionalProperties": False}]}
    return schema
