"""The models of config/paper.yaml: which of the papers' numbers make which table, and which benchmarks measure them."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from reedbench.core import paths
from reedbench.core.errors import ConfigError, Problem, unknown
from reedbench.core.frozen import Frozen
from reedbench.schema.benchmark import DIALECT, Name
from reedbench.schema.loading import Document, Key
from reedbench.schema.problems import read_as
from reedbench.schema.published_row import COLUMNS, METRICS
from reedbench.schema.versions import VERSIONS

SUMMARY: Final = "summary.md"
SPEEDUPS: Final = "speedups.csv"
UNCOUNTED: Final = ("fid-seed-spread", "speed-up")  # numbers about numbers: no cell measures them


def _texts(given: Any) -> tuple[str, ...]:
    many = given if isinstance(given, list | tuple) else [given]
    if not many or any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in many):
        raise ValueError(f"must be text, a number or a list of them, got {given!r}")
    return tuple(f"{one:.12g}" if isinstance(one, float) else str(one) for one in many)


def _metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(unknown("metric", name, METRICS))
    return name


_SCALAR: Final = {"type": ["string", "number"]}
Wanted = Annotated[
    tuple[str, ...],
    BeforeValidator(_texts),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]
MetricName = Annotated[
    str, AfterValidator(_metric), WithJsonSchema({"type": "string", "enum": [m for m in METRICS if m not in UNCOUNTED]})
]
Word = Annotated[str, Field(pattern="^[a-z][a-z_-]*$")]


class Where(Frozen):
    """Rows of config/reference: a value or a list of values for any of their columns; what is not given is free."""

    data: Wanted = ()
    """Data sets."""
    method: Wanted = ()
    """Methods; tables have them in this order."""
    backbone: Wanted = ()
    """Networks."""
    steps: Wanted = ()
    """Training steps."""
    epochs: Wanted = ()
    """Epochs, as printed."""
    sampler: Wanted = ()
    """Samplers."""
    sampler_steps: Wanted = ()
    """Steps of the sampler."""
    guidance: Wanted = ()
    """Scales of guidance, `none`, or `guided` where the scale is not known."""
    interval: Wanted = ()
    """Intervals of guidance, in the papers' time."""
    evaluator: Wanted = ()
    """Whose code made the number."""
    n: Wanted = ()
    """Samples."""
    vae: Wanted = ()
    """Autoencoders."""
    labels: Wanted = ()
    """How classes are drawn."""
    setting: Wanted = ()
    """Whole settings; "" for a method's main table."""
    kind: Wanted = ()
    """`claim`, `rerun` or `copy`."""
    source: Wanted = ()
    """Citation keys."""
    place: Wanted = ()
    """Where in the source."""
    tag: Wanted = ()
    """How the number was read."""
    settings: dict[Word, Wanted] = Field({})
    """Values of single keys of the setting; "" for rows that do not have the key."""

    @property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """The values wanted, by column of `Published`."""
        return {name: getattr(self, name) for name in COLUMNS if getattr(self, name, ())}


class Table(Frozen):
    """One table: a line for every combination of `by`, kind and source of number; a column per metric."""

    title: str
    """What stands above it."""
    where: Where
    """The rows it is made of."""
    but: Where | None = None
    """Rows of these that it leaves out."""
    by: tuple[Word, ...] = Field(min_length=1)
    """What tells its lines apart: columns of config/reference, or keys of `setting`."""
    columns: tuple[MetricName, ...] = Field(min_length=1)
    """Metrics, in this order."""
    own: bool = False
    """Whether own results stand beside the numbers, with a verdict each."""
    note: str = ""
    """What readers must know beside what the rows say."""


class Speedup(Frozen):
    """A claimed training speed-up, computed from the points of both curves; the claim is a row of config/reference."""

    stated_by: str
    """Citation key of the paper that claims it: its row of metric `speed-up` for this method and baseline."""
    method: str
    """The faster one."""
    baseline: str
    """The slower one."""
    metric: MetricName
    """What both are compared by."""
    where: Where
    """Rows that make both curves."""
    of_method: Where = Where()
    """Further conditions on the method's rows, such as its own best guidance."""
    of_baseline: Where = Where()
    """Further conditions on the baseline's rows."""
    axis: Literal["steps", "epochs"]
    """What is counted."""
    target: Literal["baseline-last"] | float = "baseline-last"
    """The value that both must reach: the baseline's at its last point, or a number."""
    leaves_out: str
    """What the claim does not count, in a sentence."""

    @model_validator(mode="after")
    def _has_a_direction(self) -> "Speedup":
        if not METRICS[self.metric].better:
            raise ValueError(f"metric: of {self.metric} neither way is better; take another")
        return self


class Tolerance(Frozen):
    """How far an own mean may lie from a published number that it reproduces: the larger of both."""

    absolute: float = Field(0.0, ge=0)
    """In the metric's unit."""
    relative: float = Field(0.0, ge=0, lt=1)
    """As a share of the published number."""

    @model_validator(mode="after")
    def _is_some(self) -> "Tolerance":
        if not self.absolute and not self.relative:
            raise ValueError("needs an absolute or a relative tolerance above 0")
        return self

    def around(self, published: float) -> float:
        """Half the width of the band around a published number."""
        return max(self.absolute, self.relative * abs(published))


class Facts(Frozen):
    """What of a benchmark's protocol no benchmark file says in the papers' words; empty where it does not apply."""

    evaluator: Literal["", "adm"] = ""
    """Whose evaluator its metrics agree with."""


class Measured(Frozen):
    """A benchmark of the suite that measures cells of the papers."""

    data: str
    """The data set as the papers' rows name it."""
    backbone: str
    """The network as they name it."""
    methods: dict[Name, str] = Field(min_length=1)
    """The papers' names of its methods; others are compared with nothing."""
    metrics: dict[MetricName, str] = Field(min_length=1)
    """Its metric for each of theirs, without version and count: `fid: fd@inception`."""
    baseline: Name
    """The method against which the sign of a gap must agree, where the papers have its cell too."""
    epoch: int = Field(ge=1)
    """Training steps that count as an epoch in the papers."""
    protocol: Facts = Facts()
    """What its file does not say."""

    @model_validator(mode="after")
    def _knows_its_baseline(self) -> "Measured":
        if self.baseline not in self.methods:
            raise ValueError(f"baseline: {unknown('method', self.baseline, self.methods)}")
        return self


class Frontier(Frozen):
    """A panel of the figure `frontier`: a metric against epochs, and how many of them reach a value (EP_FID@k)."""

    title: str
    """What stands above it."""
    metric: MetricName
    """On its vertical axis; lower is better."""
    guided: bool
    """Whether it shows samples with guidance, each method's best at its epochs, or those without."""
    where: Where
    """The rows it shows; those without steps and epochs are left out."""
    but: tuple[Where, ...] = ()
    """Rows of these that it leaves out: those that are as any of these says."""
    reach: float = Field(gt=0)
    """The value k to which epochs are counted."""
    backbone: str
    """The network that has a frontier of its own, beside that of all."""

    @model_validator(mode="after")
    def _falls(self) -> "Frontier":
        if METRICS[self.metric].better != "lower":
            raise ValueError(f"metric: of {self.metric} lower is not better; take another")
        return self


class Figures(Frozen):
    """What the figures show beside the speed-ups, all of which are in the figure `curves`."""

    reruns: Name | None = None
    """The table whose numbers the figure `reruns` has, of its first column: claims, and what others got."""
    frontier: dict[Name, Frontier] = Field({})
    """Panels of the figure `frontier`, one below the other."""


class Paper(Frozen):
    """config/paper.yaml: what `snakemake paper` makes of the papers' numbers (config/reference) and of own results."""

    tables: dict[Name, Table] = Field({})
    """Tables by name: results/paper/tables/<name>.csv."""
    speedups: dict[Name, Speedup] = Field({})
    """Claimed speed-ups by name."""
    measured: dict[Name, Measured] = Field({})
    """Benchmarks that measure what papers print; those that are not named are never compared."""
    tolerance: dict[MetricName, Tolerance] = Field({})
    """By metric: what counts as reproduced. Without one there is no verdict."""
    figures: Figures = Figures()
    """What its figures show."""

    @model_validator(mode="after")
    def _shows_its_own_tables(self) -> "Paper":
        if self.figures.reruns is not None and self.figures.reruns not in self.tables:
            raise ValueError(f"figures.reruns: {unknown('table', self.figures.reruns, self.tables)}")
        return self

    @property
    def pages(self) -> list[str]:
        """Files of its tables, the csv of each first."""
        return [file for name in self.tables for file in with_text(paths.paper_table(name))]

    @property
    def drawn(self) -> list[str]:
        """Names of the figures that have something to show."""
        there = {"curves": self.speedups, "reruns": self.figures.reruns, "frontier": self.figures.frontier}
        return [name for name, shown in there.items() if shown]

    @property
    def pictures(self) -> list[str]:
        """Files of its figures, the PDF of each first."""
        return [
            file
            for name in self.drawn
            for file in (paths.paper_figure(name), *paths.siblings(paths.paper_figure(name), ".svg", ".png", ".csv"))
        ]

    @property
    def outputs(self) -> list[str]:
        """Everything that `snakemake paper` makes."""
        return [paths.paper(SUMMARY), *with_text(paths.paper(SPEEDUPS)), *self.pages, *self.pictures]

    @property
    def settings(self) -> dict[str, Any]:
        """On which the result depends, beside the numbers."""
        return {"step": VERSIONS["paper"], "paper": self.identity()}


def with_text(table: str) -> list[str]:
    """A csv file, and the same for reading."""
    return [table, *paths.siblings(table, ".md", ".tex")]


def read(file: Path | str = paths.PAPER) -> Paper:
    """The file as a model.

    Raises:
        ConfigError: with every problem of it.
    """
    return read_as(Paper, file)


def check(file: Path | str, benchmarks: Mapping[str, Any], names: Collection[str]) -> list[Problem]:
    """What is wrong with the file, alone and against the suite's benchmarks.

    Args:
        file: config/paper.yaml.
        benchmarks: those without a problem of their own.
        names: of all of them; of the others nothing more is said.
    """
    try:
        found = read(file)
    except ConfigError as error:
        return error.problems
    document, problems = Document(file), list[Problem]()
    for name, one in found.measured.items():
        if name not in names:
            problems.append(document.problem(("measured", name), unknown("benchmark", name, names)))
        elif name in benchmarks:
            problems += _measured(("measured", name), one, benchmarks[name], document)
    return problems


def _measured(here: Key, one: Measured, benchmark: Any, document: Document) -> Iterator[Problem]:
    if benchmark.dataset.embedded:
        yield document.problem(here, "has embedded data, which are no paper's: take it out")
    for method in one.methods:
        if method not in benchmark.methods:
            yield document.problem((*here, "methods", method), unknown("method", method, benchmark.methods))
    families = [metric.family for metric in benchmark.metrics]
    for metric, family in one.metrics.items():
        if family not in families:
            yield document.problem((*here, "metrics", metric), unknown("metric", family, families))


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors."""
    schema = {**Paper.model_json_schema(), "$schema": DIALECT, "title": "reedbench paper"}
    for part in ("tables", "speedups", "measured"):
        schema["properties"][part]["additionalProperties"] = False  # a name that does not fit the pattern is no name
    schema["$defs"]["Figures"]["properties"]["frontier"]["additionalProperties"] = False
    return schema
